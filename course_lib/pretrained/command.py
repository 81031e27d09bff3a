"""`attention-course complete`: a published language model in our own classes."""

import time

import click

# PyTorch is imported where a run starts, so that the command line works without it.


def _something(context, parameter, text):
    if not text.strip():
        raise click.BadParameter("give at least one word to go on from.")
    return text


@click.command()
@click.argument("prompt", callback=_something)
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="The most to write; the model may end before.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    help="Divides the scores before drawing; 0 takes the likeliest token each time.",
)
@click.option(
    "--top-k", type=click.IntRange(min=1), help="Draw from the K likeliest only."
)
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Draw from the fewest tokens that have this share together.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Repeats what was drawn.")
@click.option("--chat", is_flag=True, help="Ask PROMPT as a question, do not go on.")
def complete(prompt, tokens, temperature, top_k, top_p, seed, chat):
    """Go on from PROMPT with SmolLM2-135M, token by token, on the CPU.

    The weights are real and published, the Transformer is the course's own.
    """
    try:
        import torch

        from course_lib.pretrained import completion, smollm2
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise click.ClickException(
            "completing needs PyTorch: pip install 'attention-course[torch,pretrained]'"
        ) from None
    from course_lib.pretrained.files import MissingWeights

    try:
        model, tokenizer = smollm2.load_smollm2()
    except MissingWeights as missing:
        raise click.ClickException(f"{missing}.") from None
    click.echo("" if chat else prompt, nl=False)
    began = time.perf_counter()
    written = completion.complete(
        model,
        tokenizer,
        smollm2.as_chat(prompt) if chat else prompt,
        tokens,
        _choice(torch, temperature, top_k, top_p, seed),
        lambda text: click.echo(text, nl=False),
    )
    speed = written / (time.perf_counter() - began)
    click.echo()
    click.echo(f"({written} tokens, {speed:.0f} a second)", err=True)


def _choice(torch, temperature, top_k, top_p, seed):
    """How each token is chosen from its logits."""
    from course_lib.training.decoding import drawn, likeliest

    if temperature == 0:
        return likeliest
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    return drawn(generator, temperature, top_k, top_p)
