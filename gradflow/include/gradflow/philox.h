// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; 2011): a counter and
// a key give four random words, independent of every other counter's.
#pragma once
#include "config.h"

namespace gf {

struct PhiloxBlock {
  uint32 word[4];
};

GF_FN PhiloxBlock philox4x32(uint32 k0, uint32 k1, uint32 c0, uint32 c1, uint32 c2, uint32 c3) {
  for (int round = 0; round < 10; ++round) {
    uint64 p0 = uint64(0xD2511F53u) * c0, p1 = uint64(0xCD9E8D57u) * c2;
    uint32 n0 = uint32(p1 >> 32) ^ c1 ^ k0, n2 = uint32(p0 >> 32) ^ c3 ^ k1;
    c1 = uint32(p1);
    c3 = uint32(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// The block that holds elements 4 q .. 4 q + 3 of the stream of a seed.
GF_FN PhiloxBlock philox(int64 seed, int64 q) {
  return philox4x32(uint32(uint64(seed)), uint32(uint64(seed) >> 32), uint32(uint64(q)), uint32(uint64(q) >> 32), 0, 0);
}

// Element i of the stream of a seed, 0 .. 2^32 - 1.
GF_FN int64 random_bits(int64 seed, int64 i) {
  PhiloxBlock block = philox(seed, int64(uint64(i) >> 2));
  uint32 low = i & 1 ? block.word[1] : block.word[0], high = i & 1 ? block.word[3] : block.word[2];
  return i & 2 ? high : low;
}

}  // namespace gf
