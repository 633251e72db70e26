// Between arrays and tiles: loads and stores with conversion, casts between registers, Philox.
#include <algorithm>
#include <type_traits>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "half.h"
#include "kernels.h"

namespace gf {
namespace GF_ISA {
namespace {

#define GF_LOOP(n) _Pragma("GCC ivdep") for (int64_t i = 0; i < (n); ++i)

// ---- storage types: how one element converts to and from its register type ----------------------

struct Bool {
  using Stored = uint8_t;
  using Register = uint8_t;
  GF_INLINE Register load(Stored x) { return x; }
  GF_INLINE Stored store(Register x) { return x; }
  GF_INLINE Register add(Register a, Register b) { return a | b; }
};

template <class S, class R>
struct Integer {
  using Stored = S;
  using Register = R;
  GF_INLINE Register load(Stored x) { return x; }
  GF_INLINE Stored store(Register x) { return static_cast<Stored>(x); }
  GF_INLINE Register add(Register a, Register b) {
    using U = std::make_unsigned_t<R>;
    return static_cast<R>(static_cast<U>(a) + static_cast<U>(b));
  }
};

template <class T>
struct Floating {
  using Stored = T;
  using Register = T;
  GF_INLINE Register load(Stored x) { return x; }
  GF_INLINE Stored store(Register x) { return x; }
  GF_INLINE Register add(Register a, Register b) { return a + b; }
};

struct Half : Floating<float> {
  using Stored = uint16_t;
  GF_INLINE float load(uint16_t x) { return half_to_float(x); }
  GF_INLINE uint16_t store(float x) { return float_to_half(x); }
};

struct BFloat : Floating<float> {
  using Stored = uint16_t;
  GF_INLINE float load(uint16_t x) { return bfloat_to_float(x); }
  GF_INLINE uint16_t store(float x) { return float_to_bfloat(x); }
};

// ---- loads and stores --------------------------------------------------------------------------

template <class T>
GF_INLINE bool contiguous_and_aligned(const void* p, int64_t stride) {
  return stride == int64_t(sizeof(T)) && reinterpret_cast<uintptr_t>(p) % alignof(T) == 0;
}

template <class S>
void load_run(typename S::Register* dst, const char* src, int64_t n, int64_t stride) {
  using Stored = typename S::Stored;
  if (contiguous_and_aligned<Stored>(src, stride)) {
    const Stored* x = reinterpret_cast<const Stored*>(src);
    GF_LOOP(n) dst[i] = S::load(x[i]);
  } else if (contiguous_and_aligned<Stored>(src, -stride)) {  // backwards
    const Stored* last = reinterpret_cast<const Stored*>(src) - (n - 1);
    GF_LOOP(n) dst[i] = S::load(last[n - 1 - i]);
  } else {
    GF_LOOP(n) {
      Stored x;
      __builtin_memcpy(&x, src + i * stride, sizeof x);
      dst[i] = S::load(x);
    }
  }
}

#if defined(__F16C__)
// The hardware's conversions; g++ does not find them.
template <>
void load_run<Half>(float* dst, const char* src, int64_t n, int64_t stride) {
  int64_t i = 0;
  for (; stride == 2 && i + 8 <= n; i += 8)
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src + 2 * i))));
  for (; i < n; ++i) {
    uint16_t x;
    __builtin_memcpy(&x, src + i * stride, 2);
    dst[i] = half_to_float(x);
  }
}

void store_halves(char* dst, const float* src, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + 2 * i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
  for (; i < n; ++i) {
    const uint16_t y = float_to_half(src[i]);
    __builtin_memcpy(dst + 2 * i, &y, 2);
  }
}
#endif

template <class S>
void fill_run(typename S::Register* dst, const char* src, int64_t n) {
  typename S::Stored x;
  __builtin_memcpy(&x, src, sizeof x);
  const typename S::Register value = S::load(x);
  GF_LOOP(n) dst[i] = value;
}

// ---- transposes: blocks of 4 x 4 in vector registers ---------------------------------------------------------------

template <class T>
struct Four {
  typedef T type __attribute__((vector_size(4 * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(4 * sizeof(T)), aligned(1), may_alias));
};

template <class T>
GF_INLINE void transpose_block(const char* src, int64_t src_stride, char* dst, int64_t dst_stride) {
  using V = typename Four<T>::type;
  using U = typename Four<T>::unaligned;
  V a = *reinterpret_cast<const U*>(src), b = *reinterpret_cast<const U*>(src + src_stride);
  V c = *reinterpret_cast<const U*>(src + 2 * src_stride), d = *reinterpret_cast<const U*>(src + 3 * src_stride);
  V ac_low = __builtin_shufflevector(a, c, 0, 4, 1, 5), ac_high = __builtin_shufflevector(a, c, 2, 6, 3, 7);
  V bd_low = __builtin_shufflevector(b, d, 0, 4, 1, 5), bd_high = __builtin_shufflevector(b, d, 2, 6, 3, 7);
  *reinterpret_cast<U*>(dst) = __builtin_shufflevector(ac_low, bd_low, 0, 4, 1, 5);
  *reinterpret_cast<U*>(dst + dst_stride) = __builtin_shufflevector(ac_low, bd_low, 2, 6, 3, 7);
  *reinterpret_cast<U*>(dst + 2 * dst_stride) = __builtin_shufflevector(ac_high, bd_high, 0, 4, 1, 5);
  *reinterpret_cast<U*>(dst + 3 * dst_stride) = __builtin_shufflevector(ac_high, bd_high, 2, 6, 3, 7);
}

// dst[column][row] = src[row][column]; within a row elements are contiguous on both sides.
template <class T>
void transpose(const char* src, int64_t src_stride, char* dst, int64_t dst_stride, int64_t rows, int64_t columns) {
  constexpr int64_t item = sizeof(T);
  const int64_t whole_rows = rows & ~int64_t(3), whole_columns = columns & ~int64_t(3);
  for (int64_t r = 0; r < whole_rows; r += 4)
    for (int64_t c = 0; c < whole_columns; c += 4)
      transpose_block<T>(src + r * src_stride + c * item, src_stride, dst + c * dst_stride + r * item, dst_stride);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c)
      __builtin_memcpy(dst + c * dst_stride + r * item, src + r * src_stride + c * item, item);
}

// Whether a block's elements are contiguous across its runs rather than along them.
template <class Stored>
GF_INLINE bool is_transposed(int64_t n0, int64_t s0, int64_t n1, int64_t s1) {
  return n0 >= 4 && n1 >= 4 && s1 == int64_t(sizeof(Stored)) && s0 != s1 && s0 != 0;
}

template <class S>
constexpr bool kStoredAsIs =
    std::is_same<typename S::Stored, typename S::Register>::value && sizeof(typename S::Stored) >= 4;

// ---- whole blocks ----------------------------------------------------------------------------------

template <class S>
void load(void* tile, const char* src, int64_t n0, int64_t s0, int64_t n1, int64_t s1) {
  using Stored = typename S::Stored;
  auto* dst = static_cast<typename S::Register*>(tile);
  if (n0 == 1) {  // one long run
    n0 = n1;
    s0 = s1;
    n1 = 1;
  }
  if (is_transposed<Stored>(n0, s0, n1, s1)) {
    if constexpr (kStoredAsIs<S>) {
      transpose<Stored>(src, s0, reinterpret_cast<char*>(dst), n0 * int64_t(sizeof(Stored)), n0, n1);
    } else {
      for (int64_t i = 0; i < n0; ++i)
        for (int64_t row = 0; row < n1; ++row) {
          Stored x;
          __builtin_memcpy(&x, src + i * s0 + row * s1, sizeof x);
          dst[row * n0 + i] = S::load(x);
        }
    }
    return;
  }
  for (int64_t row = 0; row < n1; ++row, dst += n0, src += s1) {
    if (s0 == 0)
      fill_run<S>(dst, src, n0);
    else
      load_run<S>(dst, src, n0, s0);
  }
}

template <class S, bool accumulate>
void store(char* dst, const void* tile, int64_t n0, int64_t s0, int64_t n1, int64_t s1) {
  using Stored = typename S::Stored;
  auto* src = static_cast<const typename S::Register*>(tile);
  if (n0 == 1) {
    n0 = n1;
    s0 = s1;
    n1 = 1;
  }
  if constexpr (kStoredAsIs<S> && !accumulate) {
    if (is_transposed<Stored>(n0, s0, n1, s1)) {
      transpose<Stored>(reinterpret_cast<const char*>(src), n0 * int64_t(sizeof(Stored)), dst, s0, n1, n0);
      return;
    }
  }
  for (int64_t row = 0; row < n1; ++row, src += n0, dst += s1) {
#if defined(__F16C__)
    if constexpr (std::is_same<S, Half>::value && !accumulate) {
      if (s0 == 2) {
        store_halves(dst, src, n0);
        continue;
      }
    }
#endif
    if (contiguous_and_aligned<Stored>(dst, s0)) {
      Stored* y = reinterpret_cast<Stored*>(dst);
      GF_LOOP(n0) y[i] = S::store(accumulate ? S::add(S::load(y[i]), src[i]) : src[i]);
    } else {
      for (int64_t i = 0; i < n0; ++i) {
        Stored y;
        if (accumulate) {
          __builtin_memcpy(&y, dst + i * s0, sizeof y);
          y = S::store(S::add(S::load(y), src[i]));
        } else {
          y = S::store(src[i]);
        }
        __builtin_memcpy(dst + i * s0, &y, sizeof y);
      }
    }
  }
}

// ---- past the caches ---------------------------------------------------------------------------

// A store into a cache first reads the line that it is going to overwrite; these do not.
void stream(char* dst, const void* tile, int64_t bytes, Ahead& ahead) {
  const char* src = static_cast<const char*>(tile);
#if defined(__SSE2__)
  const int64_t head = std::min(bytes, int64_t(-reinterpret_cast<uintptr_t>(dst) & 63));
  __builtin_memcpy(dst, src, size_t(head));
  int64_t i = head;
  for (; i + 64 <= bytes; i += 64) {
    if (((i - head) & (kStreamStep - 1)) == 0) ahead.step();
#if defined(__AVX512F__)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(dst + i), _mm512_loadu_si512(src + i));
#else
    for (int k = 0; k < 64; k += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(dst + i + k),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i + k)));
#endif
  }
  __builtin_memcpy(dst + i, src + i, size_t(bytes - i));
#else
  ahead.step();
  __builtin_memcpy(dst, src, size_t(bytes));
#endif
}

void drain() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// ---- casts -------------------------------------------------------------------------------------

// To the register type of S from register type T, rounded or wrapped as S would.
template <class S, class T>
void cast(void* dst, const void* a, const void*, const void*, int64_t n) {
  using R = typename S::Register;
  R* d = static_cast<R*>(dst);
  const T* x = static_cast<const T*>(a);
  GF_LOOP(n) d[i] = S::load(S::store(prim::cast<R>(x[i])));
}

template <class S>
void set_casts(TileFn* column) {
  column[kRegBool] = cast<S, bool8>;
  column[kRegInt32] = cast<S, int32_t>;
  column[kRegInt64] = cast<S, int64_t>;
  column[kRegFloat32] = cast<S, float>;
  column[kRegFloat64] = cast<S, double>;
}

// ---- indices and random numbers ------------------------------------------------------------------

void iota(int64_t* dst, int64_t start, int64_t step, int64_t n) { GF_LOOP(n) dst[i] = start + i * step; }

// Numbers start .. start + n - 1 of the stream of a seed; four from every Philox block.
void random(int64_t* dst, int64_t seed, int64_t start, int64_t n) {
  while (n > 0 && (start & 3) != 0) {
    *dst++ = random_bits(seed, start++);
    --n;
  }
  const int64_t block = int64_t(uint64_t(start) >> 2), blocks = n / 4;
#pragma GCC ivdep
  for (int64_t j = 0; j < blocks; ++j) {
    PhiloxBlock p = philox(seed, block + j);
    for (int w = 0; w < 4; ++w) dst[4 * j + w] = p.word[w];
  }
  for (int64_t i = 4 * blocks; i < n; ++i) dst[i] = random_bits(seed, start + i);
}

void random_at(int64_t* dst, const int64_t* index, int64_t seed, int64_t offset, int64_t n) {
  GF_LOOP(n) dst[i] = random_bits(seed, int64_t(uint64_t(index[i]) + uint64_t(offset)));
}

template <class T>
void add_rows_of(void* out, const void* table, const int64_t* to, const int64_t* from, int64_t n, int64_t pitch,
                 int64_t width) {
  for (int64_t i = 0; i < n; ++i) {
    T* y = static_cast<T*>(out) + to[i] * pitch;
    const T* x = static_cast<const T*>(table) + from[i] * pitch;
#pragma GCC ivdep
    for (int64_t j = 0; j < width; ++j) y[j] += x[j];
  }
}

}  // namespace

void fill_moves(Kernels& k) {
  k.add_rows_of[0] = add_rows_of<float>;
  k.add_rows_of[1] = add_rows_of<double>;
  k.stream = stream;
  k.drain = drain;
#define GF_MOVES(dtype, ...)                                                                \
  {                                                                                         \
    using S = __VA_ARGS__;                                                                  \
    k.load[dtype] = load<S>;                                                                \
    k.store[dtype] = store<S, false>;                                                       \
    k.accumulate[dtype] = store<S, true>;                                                   \
    set_casts<S>(k.cast[dtype]);                                                            \
  }
  GF_MOVES(kBool, Bool)
  GF_MOVES(kUInt8, Integer<uint8_t, int32_t>)
  GF_MOVES(kInt8, Integer<int8_t, int32_t>)
  GF_MOVES(kInt16, Integer<int16_t, int32_t>)
  GF_MOVES(kInt32, Integer<int32_t, int32_t>)
  GF_MOVES(kInt64, Integer<int64_t, int64_t>)
  GF_MOVES(kFloat16, Half)
  GF_MOVES(kBFloat16, BFloat)
  GF_MOVES(kFloat32, Floating<float>)
  GF_MOVES(kFloat64, Floating<double>)
  k.iota = iota;
  k.random = random;
  k.random_at = random_at;
}

}  // namespace GF_ISA
}  // namespace gf
