# Declares a volume where the platform mounts.
# Caught by: test_no_volume_in_opt_ml
FROM python:3.12-slim
COPY sound.py /opt/program/
VOLUME /opt/ml/model
ENTRYPOINT ["python3", "/opt/program/sound.py"]
