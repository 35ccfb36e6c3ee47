# A training on a rented machine: `fullcast pack job.tar -w WORKSPACE` at home, then there
#   docker build -t fullcast . && docker run --gpus all -v "$PWD:/work" fullcast job.tar
# It ends with /work/results.tar; run again after a stop it goes on. At home: fullcast unpack results.tar -w WORKSPACE
ARG BASE=pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime
FROM ${BASE}
WORKDIR /fullcast
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
COPY recipes ./recipes
RUN pip install --no-cache-dir ".[train,generate]"
COPY docker/train-job.sh /usr/local/bin/train-job
WORKDIR /work
ENTRYPOINT ["train-job"]
