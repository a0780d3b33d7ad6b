# Neither an entrypoint nor a program `serve`.
# Caught by: test_serve_can_be_started
FROM python:3.12-slim
COPY sound.py /opt/program/
CMD ["python3", "/opt/program/sound.py", "serve"]
