# The image that SageMaker runs: `docker run IMAGE train` and `docker run IMAGE serve`.
ARG PYTHON_VERSION=3.12

# Numbers and trees in C. The compiler stays in this stage.
FROM python:${PYTHON_VERSION}-slim AS native
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /native
COPY model/serving/compiler/native.c model/serving/compiler/build.py ./
RUN python3 build.py

FROM python:${PYTHON_VERSION}-slim

# nginx guards gunicorn; libgomp1 is what LightGBM and others need for OpenMP. The image starts as root, as SageMaker
# expects, and its workers run as model-server.
RUN apt-get update \
    && apt-get install -y --no-install-recommends nginx-light libgomp1 \
    && rm -rf /var/lib/apt/lists/* /var/log/nginx \
    && useradd --system --no-create-home --shell /usr/sbin/nologin model-server

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/program \
    PATH=/opt/program:$PATH
WORKDIR /opt/program

# The packages have a layer of their own: a change of the model or of predictor.py does not install them again.
COPY model/requirements.txt model/requirements.loc[k] ./
COPY model/serving/requirements.txt model/serving/install.py serving/
# The test suites inside the large packages are a sixth of the image. The base image has no byte code of the standard
# library; with it the server starts sooner, and writes none itself.
RUN python3 -P serving/install.py \
    && find /usr/local/lib -type d -regex '.*/site-packages/\(pandas\|scipy\|sklearn\)/\(.*/\)?tests' -prune -exec rm -rf {} + \
    && python3 -m compileall -q -x '/(site-packages|test|idlelib)/' "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"

COPY model/ ./
COPY --from=native /native/libnative.so serving/compiler/
# Windows checkouts lose executable bits and gain carriage returns. Any user may run the image (serverless inference
# is not root), so all may read. `check` fails the build when this model cannot predict with these packages; `compile`
# makes the program with which the server starts at once, if the model is of a family that it knows.
RUN sed -i 's/\r$//' train serve \
    && chmod -R a+rX . && chmod a+x train serve \
    && python3 -m compileall -q . \
    && python3 -m serving check \
    && python3 -m serving compile \
    && chmod -R a+rX .

# Only what is served: the port can be set by SAGEMAKER_BIND_TO_PORT, which inference pipelines need; several models can
# be loaded by /models when SAGEMAKER_MULTI_MODEL is true.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "serving"]
