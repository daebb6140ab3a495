"""Packages that tests write for a workspace."""


def manifest(name: str, *dependencies: str, is_library: bool = True) -> str:
    """Return the Cargo.toml of a canister, as a library or a binary, with lines such as `candid = "0.10"`."""
    package = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n\n'
    library = '[lib]\ncrate-type = ["cdylib"]\n\n' if is_library else ""
    return f"{package}{library}[dependencies]\n" + "".join(f"{line}\n" for line in dependencies)
