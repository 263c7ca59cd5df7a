# The course in a container, as a user who is not root. For the CPU (the default):
#   docker build -t breakthrough . && docker run --rm -p 127.0.0.1:8888:8888 breakthrough
# With CUDA (torch from PyPI brings its own CUDA libraries, the driver comes from the host):
#   docker build -t breakthrough:cuda --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04 --build-arg TORCH_INDEX= .
#   docker run --rm --gpus all -p 127.0.0.1:8888:8888 breakthrough:cuda
# Grading a cohort in it needs bubblewrap's namespaces, which Docker forbids by default; learning does not:
#   docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# torch built for the CPU is 0.2 GB; the one on PyPI brings gigabytes of CUDA's libraries. Empty: PyPI's
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV LANG=C.UTF-8
WORKDIR /course

# Debian's packages are listed in .ci/run, Python's in pyproject.toml, and nowhere else
COPY .ci/run .ci/run
RUN .ci/run system && rm -rf /var/lib/apt/lists/*

# Ubuntu's image has a user 1000 of its own
RUN userdel --remove ubuntu 2>/dev/null; useradd --create-home --uid 1000 --shell /bin/bash learner && chown learner /course
USER learner

# before the sources, so that a change of theirs does not install everything again
COPY --chown=learner pyproject.toml README.md Makefile ./
RUN mkdir -p src/breakthrough && touch src/breakthrough/__init__.py \
  && PIP_NO_CACHE_DIR=1 PIP_EXTRA_INDEX_URL=${TORCH_INDEX} make setup
COPY --chown=learner . .

EXPOSE 8888
CMD [".venv/bin/breakthrough", "lab", "00", "--no-browser", "--ServerApp.ip=0.0.0.0", "--ServerApp.port=8888"]
