"""The notebooks that run in the reader's own browser: JupyterLite on Pyodide."""
