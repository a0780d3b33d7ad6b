# A label that is not `true`.
# Caught by: test_labels_are_true
FROM python:3.12-slim
COPY sound.py /opt/program/
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=True
ENTRYPOINT ["python3", "/opt/program/sound.py"]
