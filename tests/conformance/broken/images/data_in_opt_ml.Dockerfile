# Has its model where the platform mounts.
# Caught by: test_no_data_in_opt_ml
FROM python:3.12-slim
COPY sound.py /opt/program/
COPY sound.py /opt/ml/model/model.pkl
ENTRYPOINT ["python3", "/opt/program/sound.py"]
