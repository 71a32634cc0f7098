# The page and the JSON endpoint of `lssed-hf serve` (docs/serve.md):
#     docker build -t lssed-hf . && docker run -p 7860:7860 lssed-hf
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HF_HUB_DISABLE_TELEMETRY=1
WORKDIR /opt/lssed-hf
COPY pyproject.toml README.md LICENSE ./
COPY model_cards/template.md model_cards/
COPY src src
# PyTorch's own index holds builds for the CPU, a tenth of the size of those for GPUs.
RUN pip install --index-url https://download.pytorch.org/whl/cpu \
        'torch>=2.11,<2.15' 'torchaudio>=2.11,<2.12' 'torchvision>=0.26,<0.30' \
    && pip install '.[web]'

RUN useradd --create-home serve
USER serve
WORKDIR /home/serve
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/api/health', timeout=4)"]
# Models behind the name of the image are served in place of the built-in one.
ENTRYPOINT ["lssed-hf", "serve", "--host", "0.0.0.0", "--port", "7860"]
