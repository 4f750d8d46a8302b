# The gateway as an image: dependencies from the lock file, no compiler, no root.
#
#   docker build -t evenkeel .
#   docker run --rm --network host evenkeel evenkeel demo
#   docker run --rm -p 8080:8080 -v "$PWD":/data evenkeel
#
# The last one reads /data/evenkeel.yaml. A container's port can only be reached from outside if the
# gateway binds 0.0.0.0, and it does that only with `auth.clients` and `auth.admin_key` set.

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/evenkeel \
    && /opt/evenkeel/bin/pip install --no-cache-dir --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY storage storage
COPY dashboards dashboards
RUN /opt/evenkeel/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --system --uid 10001 evenkeel && install -d -o evenkeel -g evenkeel /data
COPY --from=build /opt/evenkeel /opt/evenkeel
ENV PATH=/opt/evenkeel/bin:$PATH PYTHONUNBUFFERED=1
USER evenkeel
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Drains on SIGTERM; give `docker stop` at least `server.drain_seconds` (30).
STOPSIGNAL SIGTERM
CMD ["evenkeel", "serve"]
