# tini as the entrypoint.
# Caught by: test_no_tini
FROM python:3.12-slim
COPY sound.py /opt/program/
ENTRYPOINT ["/usr/bin/tini", "--", "python3", "/opt/program/sound.py"]
