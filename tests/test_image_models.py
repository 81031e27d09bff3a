"""Models of images: a vision Transformer, a denoiser that asks words, one stream."""

import numpy as np
import pytest
from twins import device_or_skip

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from course_lib.data.vocabulary import PAD  # noqa: E402
from course_lib.in_torch import denoiser  # noqa: E402
from course_lib.in_torch.denoiser import Denoiser  # noqa: E402
from course_lib.in_torch.image_tokens import (  # noqa: E402
    ImageTokens,
    TextAndImageModel,
    stream_loss,
)
from course_lib.in_torch.vision import VisionTransformer  # noqa: E402

SIDE, CHANNELS, SIZE, N_WORDS = 6, 5, 2, 11
PALETTE = torch.tensor([[-1.0, -1, -1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


def vision(n_classes=7, **changes):
    torch.manual_seed(0)
    sizes = dict(d_model=8, n_heads=2, n_layers=3, d_ff=13) | changes
    return VisionTransformer(SIDE, CHANNELS, SIZE, n_classes=n_classes, **sizes)


def new_denoiser():
    torch.manual_seed(0)
    return Denoiser(SIDE, CHANNELS, SIZE, N_WORDS, 5, 8, 2, 3, 13)


def stream():
    torch.manual_seed(0)
    return TextAndImageModel(N_WORDS, PALETTE, 3, 5, 8, 2, 3, 13)


def picture(*batch, side=SIDE, channels=CHANNELS, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(*batch, side, side, channels))).float()


def words(n=7, seed=0):
    return torch.tensor(np.random.default_rng(seed).integers(3, N_WORDS, (n, 5)))


# A vision Transformer -----------------------------------------------------------------


def test_the_class_token_reads_every_patch():
    logits, weights = vision()(picture(2, 3))
    assert logits.shape == (2, 3, 7)
    assert [w.shape for w in weights] == [(2, 3, 2, 10, 10)] * 3
    for layer in weights:
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(2, 3, 2, 10))


def test_without_positions_the_order_of_the_patches_does_not_matter():
    model, image = vision(), picture()
    turned = image.roll(SIZE, dims=0)  # other places, the same patches
    assert not torch.allclose(model(image)[0], model(turned)[0], atol=1e-4)
    with torch.no_grad():
        model.position_table[1:] = 0
    torch.testing.assert_close(model(image)[0], model(turned)[0], atol=1e-5, rtol=0)


def test_its_layers_are_those_of_pytorch_s_own_encoder():
    model, image = vision().double(), picture(2).double()
    x = image.unfold(1, SIZE, SIZE).unfold(2, SIZE, SIZE)  # (2, 3, 3, channels, s, s)
    x = model.W_patch(x.permute(0, 1, 2, 4, 5, 3).reshape(2, 9, -1))
    x = torch.cat([model.class_token.expand(2, 1, -1), x], dim=1) + model.position_table
    for layer in model.layers:
        theirs = torch.nn.TransformerEncoderLayer(
            8, 2, 13, 0.0, "gelu", batch_first=True, norm_first=True
        ).double()
        ours, attention = layer.attention, theirs.self_attn
        projections = ours.W_q, ours.W_k, ours.W_v
        copies = {
            attention.in_proj_weight: torch.cat([p.weight for p in projections]),
            attention.in_proj_bias: torch.cat([p.bias for p in projections]),
            attention.out_proj.weight: ours.W_o.weight,
            attention.out_proj.bias: ours.W_o.bias,
            theirs.linear1.weight: layer.feed_forward.W_1.weight,
            theirs.linear1.bias: layer.feed_forward.W_1.bias,
            theirs.linear2.weight: layer.feed_forward.W_2.weight,
            theirs.linear2.bias: layer.feed_forward.W_2.bias,
        }
        with torch.no_grad():
            for parameter, value in copies.items():
                parameter.copy_(value)
        x = theirs(x)
    expected = model.W_out(torch.nn.functional.layer_norm(x[:, 0], (8,)))
    torch.testing.assert_close(model(image)[0], expected, atol=1e-10, rtol=0)


def test_an_image_that_patches_do_not_cover_is_refused_when_the_model_is_made():
    with pytest.raises(ValueError, match="^height must be a multiple of size"):
        VisionTransformer(7, 1, 2, 8, 2, 1, 8, 3)


# A denoiser that asks the words -------------------------------------------------------


def test_the_line_from_noise_to_image_by_hand():
    image, noise = torch.full((3, 1, 1, 1), 5.0), torch.full((3, 1, 1, 1), 1.0)
    point, velocity = denoiser.between(image, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert point.flatten().tolist() == [1, 2, 5]
    assert velocity.flatten().tolist() == [4, 4, 4]


def test_following_the_true_velocity_ends_at_the_image_in_any_number_of_steps():
    image, noise = picture(2), picture(2, seed=1)

    class Oracle(torch.nn.Module):
        def forward(self, point, time, caption):
            return image - noise, []

    for n_steps in (1, 3, 7):
        drawn, looked = denoiser.draw(Oracle(), words(2), noise, n_steps)
        torch.testing.assert_close(drawn, image)
        assert len(looked) == n_steps


def test_the_loss_is_zero_at_the_true_velocity_and_its_square_elsewhere():
    image, noise, time = picture(2), picture(2, seed=1), torch.tensor([0.3, 0.9])
    loss = denoiser.flow_loss(
        lambda point, time, caption: (image - noise + 3, []), image, noise, time, None
    )
    assert loss.item() == pytest.approx(9, rel=1e-5)


def test_every_patch_asks_every_word():
    velocity, cross = new_denoiser()(picture(7), torch.rand(7), words())
    assert velocity.shape == (7, SIDE, SIDE, CHANNELS)
    assert [w.shape for w in cross] == [(7, 2, 9, 5)] * 3
    for layer in cross:
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(7, 2, 9))


def test_words_reach_the_picture_through_cross_attention_alone():
    model, image, time = new_denoiser(), picture(7), torch.rand(7)
    one, other = (model(image, time, words(seed=seed))[0] for seed in (0, 1))
    assert not torch.allclose(one, other, atol=1e-4)
    with torch.no_grad():
        for layer in model.layers:
            layer.cross.W_o.weight.zero_()
    one, other = (model(image, time, words(seed=seed))[0] for seed in (0, 1))
    assert torch.equal(one, other)


def test_time_matters_and_so_does_the_order_of_the_words():
    model, image, caption = new_denoiser(), picture(7), words()
    now, later = (model(image, torch.full((7,), t), caption)[0] for t in (0.1, 0.11))
    assert not torch.allclose(now, later, atol=1e-4)
    mirrored = model(image, torch.full((7,), 0.1), caption.flip(-1))[0]
    assert not torch.allclose(now, mirrored, atol=1e-4)


def test_guidance_goes_on_a_straight_line_from_no_caption_through_the_caption():
    model, image, time, caption = new_denoiser(), picture(7), torch.rand(7), words()

    def at(guidance):
        return denoiser.guided_velocity(model, image, time, caption, guidance)[0]

    without = model(image, time, torch.full_like(caption, PAD))[0]
    torch.testing.assert_close(at(0), without)
    torch.testing.assert_close(at(1), model(image, time, caption)[0])
    torch.testing.assert_close(at(3) - at(1), 2 * (at(1) - at(0)), atol=1e-5, rtol=0)


# One stream of words and picture ------------------------------------------------------


def test_tokens_are_the_nearest_colours_and_come_back_as_pixels():
    tokens = ImageTokens(PALETTE)
    ids = torch.tensor([[0, 3, 2, 1, 1, 0]])
    image = tokens.picture(ids, 2, 3)
    assert image.shape == (1, 2, 3, 3)
    assert image[0, 1, 2].tolist() == PALETTE[0].tolist()
    noisy = image + 0.4 * picture(1, side=3, channels=3)[:, :2].clamp(-1, 1)
    assert tokens(noisy).tolist() == ids.tolist()


def test_a_token_is_scored_from_the_words_and_the_tokens_before_it_only():
    model, caption = stream(), words(2)
    image = model.tokens.picture(torch.randint(0, 4, (2, 9)), 3, 3)
    logits, tokens, weights = model(caption, image)
    assert logits.shape == (2, 9, 4) and torch.equal(tokens, model.tokens(image))
    assert [w.shape for w in weights] == [(2, 2, 13, 13)] * 3
    changed = image.clone()
    changed[:, 1, 1] = -changed[:, 1, 1]  # the pixel of token 4
    other = model(caption, changed)[0]
    assert torch.equal(other[:, :5], logits[:, :5])
    assert not torch.equal(other[:, 5:], logits[:, 5:])
    assert not torch.allclose(
        model(words(2, seed=1), image)[0][:, 0], logits[:, 0], atol=1e-4
    )


def test_drawing_takes_the_likeliest_token_given_all_before_it():
    model, caption = stream(), words(2)
    image = model.draw(caption)
    logits, tokens, _ = model(caption, image)  # all at once, without a cache
    assert torch.equal(logits.argmax(dim=-1), tokens)


def test_a_generator_draws_the_same_pictures_again_and_others_with_another_seed():
    model, caption = stream(), words(7)
    one, again, other = (
        model.draw(caption, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_the_loss_of_a_model_that_knows_nothing_is_the_log_of_the_colours():
    model = stream()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    image = model.tokens.picture(torch.randint(0, 4, (7, 9)), 3, 3)
    assert stream_loss(model, words(), image).item() == pytest.approx(np.log(4))


# All of them --------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_they_run_on_whatever_device_they_are_on(device):
    device_or_skip(device)
    caption, image = words(2).to(device), picture(2).to(device)
    colours = picture(2, side=3, channels=3).to(device)
    time = torch.rand(2, device=device)
    assert vision().to(device)(image)[0].device.type == device
    model = new_denoiser().to(device)
    assert denoiser.draw(model, caption, image, 2, 3.0)[0].device.type == device
    loss = denoiser.flow_loss(model, image, image, time, caption)
    assert loss.device.type == device
    model = stream().to(device)
    assert stream_loss(model, caption, colours).device.type == device
    assert model.draw(caption).device.type == device


@pytest.mark.trained
@pytest.mark.parametrize("seed", [0, 1])
def test_a_vision_transformer_learns_which_colour_leads(seed):
    torch.set_num_threads(1)
    from course_lib.training.shapes import train

    assert train("vision", seed, tested=400)["held_out"]["leading_colour"] >= 0.9


@pytest.mark.trained
def test_a_denoiser_and_a_stream_learn_in_a_few_steps_what_pictures_are_mostly():
    torch.set_num_threads(1)
    from course_lib.training.shapes import train

    denoised = train("denoiser", 0, steps=40, tested=1)["losses"]
    assert np.mean(denoised[-10:]) < 0.5 * denoised[0]
    streamed = train("stream", 0, steps=8, tested=1)["losses"]
    assert np.mean(streamed[-3:]) < 0.6 * np.log(5)  # black pixels are most of all


def test_training_refuses_a_kind_that_there_is_not():
    from course_lib.training.shapes import train

    with pytest.raises(ValueError, match="^kind must be one of 'denoiser', 'stream'"):
        train("gan", 0)
