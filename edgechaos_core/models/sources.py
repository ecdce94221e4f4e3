"""Whether a parameter itself reaches a product, or what an operation made of it."""

COMPUTED = "computed from "  # before the name of a parameter that an operation came behind
_LAYOUT = {  # operations that leave the values of a parameter what they are
    *("t", "transpose", "permute", "view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "clone", "detach"),
    *("alias", "contiguous", "slice", "select", "split", "split_with_sizes", "unbind", "chunk", "narrow", "squeeze"),
    *("unsqueeze", "_to_copy", "cat", "stack", "as_strided", "unsafe_split", "unsafe_chunk", "copy_", "flip"),
}


def sources_after(operation: str, weights: frozenset[str]) -> frozenset[str]:
    """Return the names behind what an operation makes of parameters: theirs, marked where their values change."""
    return weights if operation in _LAYOUT else weights | {f"{COMPUTED}{name}" for name in weights}
