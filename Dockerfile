# The image that SageMaker runs: `docker run IMAGE train` and `docker run IMAGE serve`.
#   BASE            where the base image comes from, such as a mirror; default: python on Docker Hub
#   PYTHON_VERSION  the Python that the model was made with
#   BASE_DIGEST     the very image, as @sha256:…; `make pin` writes it here
ARG BASE=python
ARG PYTHON_VERSION=3.12
ARG BASE_DIGEST=

# nginx guards gunicorn; libgomp1 is what LightGBM and others need for OpenMP.
FROM ${BASE}:${PYTHON_VERSION}-slim${BASE_DIGEST} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends nginx-light libgomp1 \
    && rm -rf /var/lib/apt/lists/* /var/log/nginx \
    && useradd --system --no-create-home --shell /usr/sbin/nologin model-server

# The packages have a stage of their own: a change of the model or of predictor.py does not install them again, and what
# installs them, with the addresses and passwords that it was given, stays out of the image. The test suites inside the
# large packages are a sixth of the image.
FROM base AS packages
ARG PYTHON_VERSION
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /build
COPY model/requirements.tx[t] model/requirements.loc[k] model/pyproject.tom[l] model/uv.loc[k] ./
COPY model/serving/requirements.txt model/serving/installer.lock model/serving/install.py model/serving/sbom.py serving/
RUN python3 -P serving/install.py --with-uv --only-binary --prefix /packages
RUN python3 -P serving/sbom.py /packages /packages/sbom.json \
    && find /packages -type d -regex '.*/site-packages/\(pandas\|scipy\|sklearn\)/\(.*/\)?tests' -prune -exec rm -rf {} +

# Numbers and trees in C, and what goes on without Python. The compiler stays in this stage.
FROM ${BASE}:${PYTHON_VERSION}-slim${BASE_DIGEST} AS native
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /native
COPY model/serving/compiler/native.c model/serving/compiler/build.py compiler/
COPY model/serving/http/handover.c http/
RUN python3 compiler/build.py

# The image starts as root, as SageMaker expects, and its workers run as model-server. Nothing in it installs packages or
# gives a user the rights of another. The base image has no byte code of the standard library; with it the server starts
# sooner, and writes none itself.
FROM base
ARG PYTHON_VERSION
RUN python3 -c "import sys; v = '%d.%d.%d' % sys.version_info[:3]; (v + '.').startswith('$PYTHON_VERSION.') or sys.exit('BASE_DIGEST is an image of Python ' + v + ', not of $PYTHON_VERSION. Run make pin, or build with --build-arg BASE_DIGEST=')" \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/site-packages/* \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && python3 -m compileall -q -x '/(test|idlelib)/' "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"
COPY --from=packages /packages /usr/local

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/program \
    PATH=/opt/program:$PATH
WORKDIR /opt/program
COPY model/ ./
COPY --from=native /native/compiler/libnative.so serving/compiler/
COPY --from=native /native/http/libhandover.so serving/http/
# Windows checkouts lose executable bits and gain carriage returns. Any user may run the image (serverless inference
# is not root), so all may read. `check` fails the build when this model cannot predict with these packages; `compile`
# makes the program with which the server starts at once, if the model is of a family that it knows.
RUN sed -i 's/\r$//' train serve \
    && chmod -R a+rX . && chmod a+x train serve \
    && python3 -m compileall -q . \
    && python3 -P serving/leaks.py . \
    && python3 -m serving check \
    && python3 -m serving compile \
    && chmod -R a+rX .

# Only what is served: the port can be set by SAGEMAKER_BIND_TO_PORT, which inference pipelines need; several models can
# be loaded by /models when SAGEMAKER_MULTI_MODEL is true.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true \
      org.opencontainers.image.title="SageMaker model server" \
      org.opencontainers.image.version=2.0.0
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "serving"]
