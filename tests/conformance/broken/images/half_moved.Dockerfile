# With another port given, pings are answered there and predictions on 8080 as ever.
# Caught by: test_bind_to_port test_leaves_8080_to_others test_safe_port_range
FROM python:3.12-slim
COPY sound.py /opt/program/
COPY images/half_moved.py /opt/program/
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
ENTRYPOINT ["python3", "/opt/program/half_moved.py"]
