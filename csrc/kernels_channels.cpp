// Windows of one channel: the loops of convolutions in which each result belongs to one channel of the input.
//
// A plane is laid out with its padding around it and, where windows are several steps apart, as one plane for each
// phase of the steps. Then element `tap` of the windows is as far from the window's place everywhere, so that one run
// over the whole plane does for all rows; what it computes between the rows is thrown away.
#include <algorithm>
#include <cstring>

#include "kernels.h"

namespace gf {
namespace GF_ISA {
namespace {

#ifdef __AVX512F__
constexpr int kBytes = 64;
#else
constexpr int kBytes = 32;
#endif
constexpr int kSide = 4;  // vectors side by side: their sums do not wait for each other
static_assert(kBytes * kSide <= kChannelSlack, "runs end within the slack");

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The plane's elements at their places, `spacing` apart; zeros elsewhere.
template <class T>
void lay_out(const Windows& w, const T* x, T* to) {
  memset(to, 0, size_t(w.laid) * sizeof(T));
  const int64_t *step = w.stride, *pitch = w.pitch, plane = pitch[0] * pitch[1] * pitch[2];
  int64_t from = 0, until = w.in[2];  // of a row's elements
  while (from < until && w.before[2] + from * w.spacing[2] < 0) ++from;
  while (from < until && w.before[2] + (until - 1) * w.spacing[2] >= pitch[2] * step[2]) --until;
  for (int64_t i = 0; i < w.in[0]; ++i)
    for (int64_t j = 0; j < w.in[1]; ++j) {
      const int64_t deep = w.before[0] + i * w.spacing[0], high = w.before[1] + j * w.spacing[1];
      if (deep < 0 || high < 0 || deep >= pitch[0] * step[0] || high >= pitch[1] * step[1] || from >= until) continue;
      const T* row = x + (i * w.in[1] + j) * w.in[2];
      const int64_t phase = deep % step[0] * step[1] + high % step[1];
      T* there = to + phase * step[2] * plane + (deep / step[0] * pitch[1] + high / step[1]) * pitch[2];
      if (step[2] == 1) {
        there += w.before[2];
        if (w.spacing[2] == 1)
          memcpy(there + from, row + from, size_t(until - from) * sizeof(T));
        else
          for (int64_t k = from; k < until; ++k) there[k * w.spacing[2]] = row[k];
        continue;
      }
      for (int64_t k = from; k < std::min(until, from + step[2]); ++k) {  // of steps, elements are 1 apart
        const int64_t wide = w.before[2] + k;
        T* target = there + wide % step[2] * plane + wide / step[2];
        for (int64_t m = k; m < until; m += step[2]) *target++ = row[m];
      }
    }
}

template <class T>
void correlate(const Windows& w, const void* input, const void* weight, void* scratch, void* result, bool add) {
  using Vector = typename VectorOf<T>::type;
  constexpr int64_t lanes = kBytes / sizeof(T);
  const T* factors = static_cast<const T*>(weight);
  T *x = static_cast<T*>(scratch), *sums = x + w.laid, *y = static_cast<T*>(result);
  lay_out(w, static_cast<const T*>(input), x);
  for (int64_t p = 0; p < w.run; p += lanes * kSide) {
    Vector sum[kSide] = {};
    for (int64_t tap = 0; tap < w.taps; ++tap) {
      const T factor = factors[tap];
      for (int k = 0; k < kSide; ++k) {
        Vector v;
        memcpy(&v, x + w.offset[tap] + p + k * lanes, sizeof v);
        sum[k] += v * factor;
      }
    }
    memcpy(sums + p, sum, sizeof sum);
  }
  for (int64_t i = 0; i < w.out[0]; ++i)
    for (int64_t j = 0; j < w.out[1]; ++j) {
      const T* row = sums + (i * w.pitch[1] + j) * w.pitch[2];
      T* to = y + (i * w.out[1] + j) * w.out[2];
      if (add)
        for (int64_t k = 0; k < w.out[2]; ++k) to[k] += row[k];
      else
        memcpy(to, row, size_t(w.out[2]) * sizeof(T));
    }
}

// `mask` keeps what is between the rows out of the sums, nan and inf too.
template <class T>
void weigh(const Windows& w, const void* input, const void* given, const void* mask, void* scratch, double* total) {
  using Vector = typename VectorOf<T>::type;
  using Mask = typename VectorOf<Bits<T>>::type;
  constexpr int64_t lanes = kBytes / sizeof(T);
  const auto* keep = static_cast<const Bits<T>*>(mask);
  const T* source = static_cast<const T*>(given);
  T *x = static_cast<T*>(scratch), *g = x + w.laid;
  lay_out(w, static_cast<const T*>(input), x);
  memset(g, 0, size_t(w.run) * sizeof(T) + kChannelSlack);
  for (int64_t i = 0; i < w.out[0]; ++i)
    for (int64_t j = 0; j < w.out[1]; ++j)
      memcpy(g + (i * w.pitch[1] + j) * w.pitch[2], source + (i * w.out[1] + j) * w.out[2],
             size_t(w.out[2]) * sizeof(T));
  for (int64_t tap = 0; tap < w.taps; ++tap) {
    Vector sum[kSide] = {};
    for (int64_t p = 0; p < w.run; p += lanes * kSide)
      for (int k = 0; k < kSide; ++k) {
        Vector a;
        Mask v, m;
        memcpy(&a, g + p + k * lanes, sizeof a);
        memcpy(&v, x + w.offset[tap] + p + k * lanes, sizeof v);
        memcpy(&m, keep + p + k * lanes, sizeof m);
        v &= m;
        Vector b;
        memcpy(&b, &v, sizeof b);
        sum[k] += a * b;
      }
    T lane[lanes];
    const Vector all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    memcpy(lane, &all, sizeof lane);
    for (int64_t half = lanes / 2; half > 0; half /= 2)
      for (int64_t i = 0; i < half; ++i) lane[i] += lane[i + half];
    total[tap] += double(lane[0]);
  }
}

}  // namespace

void fill_channels(Kernels& k) {
  k.channels[0] = {correlate<float>, weigh<float>};
  k.channels[1] = {correlate<double>, weigh<double>};
}

}  // namespace GF_ISA
}  // namespace gf
