// The compression parameters that force Huffman coding are in zstd's "static" part of the header,
// but the shared library exports what they need.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
