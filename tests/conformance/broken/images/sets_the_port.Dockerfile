# Sets what the platform sets.
# Caught by: test_no_reserved_variables
FROM python:3.12-slim
COPY sound.py /opt/program/
ENV SAGEMAKER_BIND_TO_PORT=8080
ENTRYPOINT ["python3", "/opt/program/sound.py"]
