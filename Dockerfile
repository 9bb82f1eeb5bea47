# A slim image of the service. Build it beside a trained model and mount that at /model:
#   docker build -t clusterseq . && docker run -p 8000:8000 -v "$PWD/model:/model:ro" \
#     -v histories:/data -v "$PWD/keys.jsonl:/keys.jsonl:ro" clusterseq
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir -c constraints.txt '.[serve,storage]'

FROM python:3.11-slim
RUN useradd --uid 1000 --create-home clusterseq && install -d -o clusterseq /data
COPY --from=build /venv /venv
USER clusterseq
WORKDIR /data
VOLUME /data
EXPOSE 8000
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["clusterseq", "serve", "/model", "--host", "0.0.0.0", "--store", "/data/histories.sqlite"]
CMD ["--keys", "/keys.jsonl"]
