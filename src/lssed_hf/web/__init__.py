"""A page to try audio classifiers on (`lssed-hf serve`, docs/serve.md). `web.app.build_app` needs the extra `web`."""
