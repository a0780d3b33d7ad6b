# Runs as a user of its own.
# Caught by: test_root_by_default
FROM python:3.12-slim
COPY sound.py /opt/program/
USER 1000
ENTRYPOINT ["python3", "/opt/program/sound.py"]
