# A secret for everybody.
# Caught by: test_no_credentials_in_env
FROM python:3.12-slim
COPY sound.py /opt/program/
ENV AWS_SECRET_ACCESS_KEY=not-a-real-one
ENTRYPOINT ["python3", "/opt/program/sound.py"]
