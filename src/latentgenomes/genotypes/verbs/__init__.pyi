from latentgenomes.genotypes.verbs.compress import compress_file
from latentgenomes.genotypes.verbs.decompress import decompress_file

__all__ = ["compress_file", "decompress_file"]
