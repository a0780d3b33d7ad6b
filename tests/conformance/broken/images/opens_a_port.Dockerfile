# Listens on a fixed port besides the one that it is told.
# Caught by: test_no_other_port test_safe_port_range
FROM python:3.12-slim
COPY sound.py /opt/program/
COPY images/opens_a_port.py /opt/program/
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
ENTRYPOINT ["python3", "/opt/program/opens_a_port.py"]
