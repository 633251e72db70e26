// What the printed CUDA kernels are made of besides the primitives: memory, indices, folds by the threads of a block.
// For NVRTC; a compiler for the CPU needs CUDA's names (threadIdx, __syncthreads, ...) and GF_SHARED beforehand.
#pragma once
#include "scalar.h"

#ifdef __CUDACC_RTC__
#define GF_METHOD __device__ __forceinline__
#define GF_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#else
#define GF_METHOD inline __attribute__((always_inline))
#endif

namespace gf {

// --- memory ---------------------------------------------------------------------------------------------------

// How an element lies in memory; device_half.h adds the floats of 16 bits.
template <class S>
struct Stored {
  GF_FN S load(S x) { return x; }
  template <class R>
  GF_FN S store(R x) {
    return S(x);  // small integers wrap
  }
};

template <class R, class S>
GF_FN R get(S x) {
  return prim::cast<R>(Stored<S>::load(x));
}

template <class S, class R>
GF_FN void put(S* to, R value, bool accumulate) {
  if (accumulate) value = prim::add(get<R>(*to), value);
  *to = Stored<S>::store(value);
}

// A register as it would come back from memory.
template <class S, class R>
GF_FN R through(R value) {
  return get<R>(Stored<S>::store(value));
}

// n neighbours: one access where all of them lie within the array.
template <class S, int n>
struct alignas(sizeof(S) * n) Pack {
  S at[n];
};

template <int n, class S>
GF_FN Pack<S, n> read(const S* array, int64 p, int64 length) {
  if ((p + 1) * n <= length) return reinterpret_cast<const Pack<S, n>*>(array)[p];
  Pack<S, n> pack = {};
  for (int k = 0; k < n; ++k)
    if (p * n + k < length) pack.at[k] = array[p * n + k];
  return pack;
}

template <class S, int n>
GF_FN void write(S* array, int64 p, const Pack<S, n>& pack, int64 length) {
  if ((p + 1) * n <= length)
    reinterpret_cast<Pack<S, n>*>(array)[p] = pack;
  else
    for (int k = 0; k < n; ++k)
      if (p * n + k < length) array[p * n + k] = pack.at[k];
}

// --- indices --------------------------------------------------------------------------------------------------

GF_FN int64 thread() { return int64(blockIdx.x) * blockDim.x + threadIdx.x; }
GF_FN int64 threads() { return int64(gridDim.x) * blockDim.x; }

constexpr int kDims = 8;

// Where each of n arrays has an element, counted in elements from its beginning.
template <class I, int n>
struct Place {
  I at[n] = {};
  GF_METHOD I operator[](int k) const { return at[k]; }
  GF_METHOD Place moved(int64 count, const Place& step) const {
    Place place = *this;
    for (int k = 0; k < n; ++k) place.at[k] += I(count) * step.at[k];
    return place;
  }
};

// n arrays of one shape of 1 to kDims dimensions, of which dimension 0 runs fastest. Strides count elements.
template <class I, int n>
struct Layout {
  int32 ndim;
  I size[kDims], stride[n][kDims];

  // Of element number `index`, from `place` on.
  GF_METHOD Place<I, n> place(int64 index, Place<I, n> place = {}) const {
    using Unsigned = unsigned_t<I>;
    I rest = I(index);
#pragma unroll 1
    for (int d = 0; d < ndim - 1; ++d) {
      const I next = I(Unsigned(rest) / Unsigned(size[d])), here = rest - next * size[d];
      for (int k = 0; k < n; ++k) place.at[k] += here * stride[k][d];
      rest = next;
    }
    for (int k = 0; k < n; ++k) place.at[k] += rest * stride[k][ndim - 1];
    return place;
  }
};

// A column of a row of `length`; 0 for one outside, which is reported as (id, column, length).
GF_FN int64 column(int64 c, int64 length, int64* error, int64 id) {
  if (c >= 0 && c < length) return c;
  error[0] = id;
  error[1] = c;
  error[2] = length;
  return 0;
}

// --- folds ----------------------------------------------------------------------------------------------------
// A fold takes values (with their positions), merges with another of its kind, and finishes as one value; `each` is the
// fold with a function applied to its fields. Those that row programs use know a value that changes nothing.

constexpr int kFoldBytes = 16;

template <class T>
struct Sum {  // integers wrap; the sum of truth values is any
  T total = 0;
  GF_METHOD T none() const { return 0; }
  GF_METHOD void take(T x, int64 = 0) { total = prim::add(total, x); }
  GF_METHOD void merge(Sum other) { total = prim::add(total, other.total); }
  template <class F>
  GF_METHOD Sum each(F f) const {
    return {f(total)};
  }
  GF_METHOD T finish(double) const { return total; }
};

// 16 values are added in float32, all such sums in double.
template <>
struct Sum<float> {
  double total = 0;
  float few = 0;
  int32 taken = 0;
  GF_METHOD float none() const { return 0; }
  GF_METHOD void take(float x, int64 = 0) {
    few += x;
    if (++taken == 16) settle();
  }
  GF_METHOD void settle() {
    total += few;
    few = 0;
    taken = 0;
  }
  GF_METHOD void merge(Sum other) {
    settle();
    other.settle();
    total += other.total;
  }
  template <class F>
  GF_METHOD Sum each(F f) {
    settle();
    return {f(total)};
  }
  GF_METHOD float finish(double scale) {
    settle();
    return float(total * scale);
  }
};

// The rounding errors of the additions are carried along (Neumaier 1974).
template <>
struct Sum<double> {
  double total = 0, error = 0;
  GF_METHOD double none() const { return 0; }
  GF_METHOD void take(double x, int64 = 0) {
    const double sum = total + x, from_x = sum - total;
    error += (total - (sum - from_x)) + (x - from_x);
    total = sum;
  }
  GF_METHOD void merge(Sum other) {
    take(other.total);
    error += other.error;
  }
  template <class F>
  GF_METHOD Sum each(F f) const {
    return {f(total), f(error)};
  }
  GF_METHOD double finish(double scale) const {
    const bool finite = total - total == 0 && error == error;  // the error of an infinite sum means nothing
    return scale * (finite ? total + error : total);
  }
};

template <class T>
struct Wider {  // in which a product is computed
  using Type = T;
};
template <>
struct Wider<float> {
  using Type = double;
};

template <class T>
struct Prod {  // of truth values: all
  typename Wider<T>::Type total = 1;
  GF_METHOD void take(T x, int64 = 0) { total = prim::mul(total, typename Wider<T>::Type(x)); }
  GF_METHOD void merge(Prod other) { total = prim::mul(total, other.total); }
  template <class F>
  GF_METHOD Prod each(F f) const {
    return {f(total)};
  }
  GF_METHOD T finish(double) const { return T(total); }
};

template <class T>
GF_FN T least() {
  if constexpr (is_float_v<T>)
    return -1 / T(0);
  else if constexpr (sizeof(T) == 1)
    return 0;
  else
    return T(unsigned_t<T>(1) << (8 * sizeof(T) - 1));
}
template <class T>
GF_FN T greatest() {
  if constexpr (is_float_v<T>)
    return 1 / T(0);
  else
    return prim::bit_not(least<T>());
}

template <class T>
struct Max {  // nan wins
  T best = least<T>();
  GF_METHOD T none() const { return least<T>(); }
  GF_METHOD void take(T x, int64 = 0) { best = prim::maximum(best, x); }
  GF_METHOD void merge(Max other) { best = prim::maximum(best, other.best); }
  template <class F>
  GF_METHOD Max each(F f) const {
    return {f(best)};
  }
  GF_METHOD T finish(double) const { return best; }
};
template <class T>
struct Min {
  T best = greatest<T>();
  GF_METHOD void take(T x, int64 = 0) { best = prim::minimum(best, x); }
  GF_METHOD void merge(Min other) { best = prim::minimum(best, other.best); }
  template <class F>
  GF_METHOD Min each(F f) const {
    return {f(best)};
  }
  GF_METHOD T finish(double) const { return best; }
};

// The position of the extreme: the first of equals, the first nan, or the last; so the order of merging does not
// matter.
template <class T, bool largest, bool last = false>
struct Arg {
  T best = 0;
  int64 index = -1;
  GF_METHOD bool wins(T x, int64 i) const {
    const bool equal = x == best || (x != x && best != best);
    const bool better = largest ? x > best : x < best;
    return index < 0 || (equal ? (i < index) != last : better || (x != x && best == best));
  }
  GF_METHOD void take(T x, int64 i) {
    if (!wins(x, i)) return;
    best = x;
    index = i;
  }
  GF_METHOD void merge(Arg other) {
    if (other.index >= 0) take(other.best, other.index);
  }
  template <class F>
  GF_METHOD Arg each(F f) const {
    return {f(best), f(index)};
  }
  GF_METHOD int64 finish(double) const { return index; }
};
template <class T>
using ArgMax = Arg<T, true>;
template <class T>
using ArgMin = Arg<T, false>;
template <class T>
using LastMax = Arg<T, true, true>;
template <class T>
using LastMin = Arg<T, false, true>;

// Room for n elements at `free`, which moves on.
template <class S>
GF_FN S* room(unsigned char*& free, int64 n) {
  S* found = reinterpret_cast<S*>(free);
  free += (n * int64(sizeof(S)) + 15) / 16 * 16;
  return found;
}

// --- the threads of a block -----------------------------------------------------------------------------------

constexpr int32 kWarp = 32;

// A value of the thread of the warp whose number differs in one bit.
struct Across {
  int32 bit;
  uint32 warp;  // the threads that there are
  template <class T>
  GF_METHOD T operator()(T x) const {
    if constexpr (sizeof(T) == 1)
      return T(__shfl_xor_sync(warp, int32(x), bit));
    else
      return __shfl_xor_sync(warp, x, bit);
  }
};

// A value of the thread that stands so many before this one, in groups of `count`; and one of a group's last thread.
struct Before {
  int32 distance, count;
  uint32 warp;
  template <class T>
  GF_METHOD T operator()(T x) const {
    if constexpr (sizeof(T) == 1)
      return T(__shfl_up_sync(warp, int32(x), distance, count));
    else
      return __shfl_up_sync(warp, x, distance, count);
  }
};
struct Last {
  int32 count;
  uint32 warp;
  template <class T>
  GF_METHOD T operator()(T x) const {
    if constexpr (sizeof(T) == 1)
      return T(__shfl_sync(warp, int32(x), count - 1, count));
    else
      return __shfl_sync(warp, x, count - 1, count);
  }
};

// A block works on `groups` outputs at a time, and `count` of its threads fold each of them together; both are powers
// of two. These lanes lie along x, and neighbours take neighbours of the folded elements; or along y, with at most 32
// groups, and neighbours in x take those of neighbouring outputs: whichever are neighbours in memory.
struct Lanes {
  int32 lane, count, group, groups, thread, step;
  GF_METHOD explicit Lanes(bool along_y)
      : lane(along_y ? threadIdx.y : threadIdx.x),
        count(along_y ? blockDim.y : blockDim.x),
        group(along_y ? threadIdx.x : threadIdx.y),
        groups(along_y ? blockDim.x : blockDim.y),
        thread(threadIdx.y * blockDim.x + threadIdx.x),
        step(along_y ? blockDim.x : 1) {}

  // The first output of this block, and how many the grid works on at a time.
  GF_METHOD int64 first() const { return int64(blockIdx.x) * groups; }
  GF_METHOD int64 stride() const { return int64(gridDim.x) * groups; }

  // The threads of this warp.
  GF_METHOD uint32 mask() const { return count * groups < kWarp ? (1u << count * groups) - 1 : ~0u; }

  // The fold of each lane of at most 32 along x with those of the lanes before it and what came before these, which
  // becomes that of the last. Every thread of the block must come here.
  template <class Fold>
  GF_METHOD Fold scan(Fold fold, Fold& before) const {
    for (int32 distance = 1; distance < count; distance *= 2) {
      Fold sum = fold.each(Before{distance, count, mask()});
      sum.merge(fold);
      if (lane >= distance) fold = sum;
    }
    before.merge(fold);
    fold = before;
    if (count > 1) before = fold.each(Last{count, mask()});
    return fold;
  }

  // The folds of a group's lanes as one, known to all of them, always merged in the same order: first by the threads of
  // a warp, then from what each warp has for each of its groups. Every thread of the block must come here; `memory` has
  // kFoldBytes for each.
  template <class Fold>
  GF_METHOD Fold join(Fold fold, unsigned char* memory) const {
    static_assert(sizeof(Fold) <= kFoldBytes, "a fold must fit its place in shared memory");
    const int32 span = count * step;
    const uint32 warp = mask();
    for (int32 apart = step; apart < span && apart < kWarp; apart *= 2) {
      Fold low = fold, high = fold.each(Across{apart, warp});
      if (thread & apart) {
        low = high;
        high = fold;
      }
      low.merge(high);
      fold = low;
    }
    if (span <= kWarp) return fold;
    Fold* shared = reinterpret_cast<Fold*>(memory);
    if (thread % kWarp < step) shared[thread / kWarp * step + thread % kWarp] = fold;
    __syncthreads();
    const int32 leader = thread - lane * step;
    const Fold* of_warps = shared + leader / kWarp * step + leader % kWarp;
    fold = of_warps[0];
    for (int32 w = 1; w < span / kWarp; ++w) fold.merge(of_warps[w * step]);
    __syncthreads();  // before the memory is used again
    return fold;
  }
};

}  // namespace gf
