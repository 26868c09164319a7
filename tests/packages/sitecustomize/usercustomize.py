import builtins

builtins.SHADOWED = True
raise SystemExit("sitecustomize")
