import pytest
import torch

from latentgenomes.nn.blocks import ACTIVATIONS, DenseStack
from latentgenomes.signatures.models.vaems import SimplexRows


def test_rows_are_distributions_whatever_the_weight():
    rows = SimplexRows(4, 7)
    torch.nn.init.normal_(rows.weight, generator=torch.Generator().manual_seed(0))
    values = rows().detach()
    assert float(values.min()) >= 0
    torch.testing.assert_close(values.sum(-1), torch.ones(4))


def test_set_rows_starts_from_the_given_rows_and_lets_zeros_grow():
    rows = SimplexRows(2, 5)
    target = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0], [0.2, 0.2, 0.2, 0.2, 0.2]])
    rows.set_rows(target * 7)
    torch.testing.assert_close(rows(), target, atol=1e-3, rtol=0)
    assert float(rows.weight.detach().mean()) == pytest.approx(1.0, abs=1e-3)
    rows()[0, 2].backward()
    assert float(rows.weight.grad[0, 2]) > 0


def test_dense_stack_matches_the_layers_written_out():
    generator = torch.Generator().manual_seed(1)
    stack = DenseStack((6, 5, 3), "elu").eval()
    x = torch.rand(4, 6, generator=generator)
    h = x
    for linear, norm in ((stack.layers[0], stack.layers[1]), (stack.layers[3], stack.layers[4])):
        h = h @ linear.weight.T
        h = (h - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps) * norm.weight + norm.bias
        h = torch.nn.functional.elu(h)
    torch.testing.assert_close(stack(x), h)


def test_unknown_activation_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"activation must be one of .*'relu'.*, but 'rellu' came"):
        DenseStack((3, 2), "rellu")
    assert "relu" in ACTIVATIONS
