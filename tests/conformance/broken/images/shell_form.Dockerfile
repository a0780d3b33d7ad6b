# SIGTERM stops at the shell.
# Caught by: test_entrypoint_in_exec_form
FROM python:3.12-slim
COPY sound.py /opt/program/
ENTRYPOINT python3 /opt/program/sound.py
