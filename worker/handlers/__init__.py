"""One module per task: ``handle(request, context) -> result``. Imported only once a claim is granted."""
