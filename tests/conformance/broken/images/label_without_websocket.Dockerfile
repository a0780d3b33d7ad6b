# A label for a WebSocket that is not there.
# Caught by: test_bidirectional_stream
FROM python:3.12-slim
COPY sound.py /opt/program/
LABEL com.amazonaws.sagemaker.capabilities.bidirectional-streaming=true
ENTRYPOINT ["python3", "/opt/program/sound.py"]
