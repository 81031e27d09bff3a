"""The notebooks as the browser gets them: copies in which nothing asks for PyTorch."""

import base64
import shutil
from urllib.parse import quote

import nbformat

from tools.lite.files import ROOT

FOLDERS = ("chapters", "exercises")
TORCH = """\
**This cell needs PyTorch, which does not run in a browser.** It is here to be read;
[Colab runs it]({colab}).

```python
{code}
```"""
PRINTED = "\n\nOn our machine it printed:\n\n```text\n{text}\n```"


def notebooks():
    """The committed notebooks that the browser can open."""
    return [path for name in FOLDERS for path in sorted((ROOT / name).glob("*.ipynb"))]


def write(folder, colab):
    """Write the copies below a folder.

    Args:
        folder: where the notebooks' folders go
        colab:  address of the course in Colab; a notebook's path goes behind it
    """
    for path in notebooks():
        name = path.relative_to(ROOT).as_posix()
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == "exercises":
            shutil.copy(path, copy)  # the reader's answers go back to the grader
            continue
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [
            to_be_read(cell, f"{colab}/{quote(name)}")
            if "torch" in cell.metadata.get("tags", [])
            else cell
            for cell in notebook.cells
        ]
        nbformat.write(notebook, copy, version=nbformat.NO_CONVERT)


def to_be_read(cell, colab):
    """A code cell as text: what it says, what it printed, and where it runs."""
    text, pictures = TORCH.format(colab=colab, code=cell.source), {}
    for output in cell.outputs:
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "image/svg+xml" in data:
            picture = data["image/svg+xml"]
            name = f"figure-{len(pictures) + 1}.svg"
            alt = output.metadata.get("image/svg+xml", {}).get("alt", "")
            pictures[name] = {
                "image/svg+xml": base64.b64encode(picture.encode()).decode()
            }
            text += f"\n\n![{alt}](attachment:{name})"
        elif data.get("text/plain"):
            text += PRINTED.format(text=data["text/plain"].rstrip("\n"))
    return nbformat.v4.new_markdown_cell(
        text, id=cell["id"], metadata=cell.metadata, attachments=pictures
    )
