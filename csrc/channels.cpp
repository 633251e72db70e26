// by_channel: convolutions in which each result belongs to one channel of the input, and their ways back.
#include <algorithm>
#include <vector>

#include "common.h"
#include "kernels.h"

namespace gf {
namespace {

constexpr const char* op = "by_channel";
enum Kind { kCorrelate, kSpread, kWeigh };

void read_sizes(PyObject* tuple, int space, int64_t least, int64_t* numbers, const char* what) {
  if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != space)
    raise(ErrorKind::Argument, "%s: needs %s for each of %d axes", op, what, space);
  for (int d = 0; d < space; ++d) {
    numbers[3 - space + d] = int_argument(PyTuple_GET_ITEM(tuple, d), op, what);
    if (numbers[3 - space + d] < least)
      raise(ErrorKind::Argument, "%s: %s is %lld; it is at least %lld", op, what, (long long)numbers[3 - space + d],
            (long long)least);
  }
}

// A dense view of the argument, which a copy may hold.
View dense_view(PyObject* object, Ref* copy) {
  if (!is_array(object)) raise(ErrorKind::Type, "%s: expected an array, got %s", op, Py_TYPE(object)->tp_name);
  auto* array = reinterpret_cast<PyArrayObject*>(object);
  View v;
  read_view(array, op, &v);
  if (PyArray_IS_C_CONTIGUOUS(array) && v.aligned) return v;
  *copy = Ref(new_array(v.ndim, v.shape, v.dtype));
  View fresh;
  read_view(reinterpret_cast<PyArrayObject*>(copy->get()), op, &fresh);
  copy_view(v, fresh);
  return fresh;
}

int64_t product(const int64_t* sizes) { return sizes[0] * sizes[1] * sizes[2]; }

// How planes are laid out for these windows; `offset` gets a number for each tap, in reversed order if `reversed`.
void plan(Windows* w, bool reversed, std::vector<int64_t>* offset) {
  int64_t phases = 1, plane = 1;
  for (int d = 0; d < 3; ++d) {
    w->pitch[d] = w->out[d] + w->dilation[d] * (w->kernel[d] - 1) / w->stride[d];
    phases *= w->stride[d];
    plane *= w->pitch[d];
  }
  w->laid = phases * plane + kChannelSlack / 4;
  w->run = ((w->out[0] - 1) * w->pitch[1] + w->out[1] - 1) * w->pitch[2] + w->out[2];
  w->taps = product(w->kernel);
  for (int64_t tap = 0; tap < w->taps; ++tap) {
    const int64_t at[3] = {tap / (w->kernel[1] * w->kernel[2]), tap / w->kernel[2] % w->kernel[1], tap % w->kernel[2]};
    int64_t phase = 0, place = 0;
    for (int d = 0; d < 3; ++d) {
      phase = phase * w->stride[d] + at[d] * w->dilation[d] % w->stride[d];
      place = place * w->pitch[d] + at[d] * w->dilation[d] / w->stride[d];
    }
    offset->push_back(phase * plane + place);
  }
  if (reversed) std::reverse(offset->begin(), offset->end());
  w->offset = offset->data();
}

// Far windows, or very large paddings: their planes would not fit into any memory, nor their sizes into 64 bits.
void require_room(const Windows& w) {
  double elements = 1;
  for (int d = 0; d < 3; ++d)
    elements *= double(w.stride[d]) * double(w.out[d]) + double(w.dilation[d]) * double(w.kernel[d] - 1);
  if (elements > double(int64_t(1) << 40))
    raise(ErrorKind::Memory, "convolution: not enough memory for planes of %g elements with their padding", elements);
}

// The windows of the way back: those of the spaced-out output, stride 1, with the reversed kernel.
Windows turned(const Windows& w) {
  Windows t = w;
  for (int d = 0; d < 3; ++d) {
    t.in[d] = w.out[d];
    t.out[d] = w.in[d];
    t.stride[d] = 1;
    t.spacing[d] = w.stride[d];
    t.before[d] = w.dilation[d] * (w.kernel[d] - 1) - w.before[d];
  }
  return t;
}

// body(task) on several threads where there is much to do.
template <class Body>
void for_tasks(int64_t tasks, int64_t work, int64_t room, const Body& body) {
  const int64_t some = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, work));
  NoGil no_gil(tasks * work > 1 << 12);
  parallel_for((tasks + some - 1) / some, [&](int64_t chunk) {
    std::vector<char> scratch(static_cast<size_t>(room));
    for (int64_t k = chunk * some, end = std::min(tasks, k + some); k < end; ++k) body(k, scratch.data());
  });
}

}  // namespace

// by_channel(kind, a, b, sizes, stride, before, dilation): of input x (N, C, *in), weights w (C times m, 1, *kernel)
// and output y (N, C times m, *out), 0: y from x and w; 1: x from y and w; 2: w from x and y. `sizes` are the result's.
// For 1 there is one more argument: C.
PyObject* by_channel(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 8) raise(ErrorKind::Type, "%s: takes 8 arguments, got %d", op, int(count));
  const int64_t kind = int_argument(args[0], op, "kind");
  if (kind < kCorrelate || kind > kWeigh) raise(ErrorKind::Argument, "%s: unknown kind %lld", op, (long long)kind);
  if (!is_array(args[1]) || !is_array(args[2])) return call_fallback(op, args, count);
  Ref copies[2];
  const View a = dense_view(args[1], &copies[0]), b = dense_view(args[2], &copies[1]);
  const int space = a.ndim - 2;
  if (space < 1 || space > 3 || b.ndim != a.ndim || a.dtype != b.dtype || (a.dtype != kFloat32 && a.dtype != kFloat64))
    raise(ErrorKind::Argument, "%s: needs two arrays of 3 to 5 axes, both float32 or float64", op);
  Windows s;
  int64_t* result = kind == kCorrelate ? s.out : kind == kSpread ? s.in : s.kernel;
  read_sizes(args[3], space, 0, result, "a size");
  read_sizes(args[4], space, 1, s.stride, "a stride");
  read_sizes(args[5], space, INT32_MIN, s.before, "a padding");
  read_sizes(args[6], space, 1, s.dilation, "a dilation");
  std::copy(a.shape + 2, a.shape + a.ndim, (kind == kSpread ? s.out : s.in) + 3 - space);
  std::copy(b.shape + 2, b.shape + b.ndim, (kind == kWeigh ? s.out : s.kernel) + 3 - space);
  const int64_t n = a.shape[0], given = int_argument(args[7], op, "the channels");
  const int64_t channels = kind == kSpread ? given : a.shape[1], outs = kind == kCorrelate ? b.shape[0]
                                                                        : kind == kSpread  ? a.shape[1]
                                                                                           : b.shape[1];
  if (channels < 1 || outs % channels != 0 || (kind != kWeigh && (b.shape[1] != 1 || b.shape[0] != outs)) ||
      (kind == kWeigh && b.shape[0] != n))
    raise(ErrorKind::Shape, "%s: the shapes do not fit: %s and %s with %lld channels", op,
          shape_text(a.ndim, a.shape).c_str(), shape_text(b.ndim, b.shape).c_str(), (long long)channels);
  npy_intp shape[5] = {kind == kWeigh ? outs : n, kind == kCorrelate ? outs : kind == kSpread ? channels : 1};
  std::copy(result + 3 - space, result + 3, shape + 2);
  Ref fresh(new_array(a.ndim, shape, a.dtype));
  View r;
  read_view(reinterpret_cast<PyArrayObject*>(fresh.get()), op, &r);
  if (r.size() == 0) return fresh.release();
  for (int d = 0; d < 3; ++d) {  // a single place has no next one
    if (s.out[d] == 1) s.stride[d] = 1;
    if (s.kernel[d] == 1) s.dilation[d] = 1;
  }
  if (a.size() == 0 || b.size() == 0) {
    memset(r.data, 0, size_t(r.size() * item_size(r.dtype)));
    return fresh.release();
  }
  const ChannelLoops& loops = kernels->channels[a.dtype == kFloat64];
  const int64_t item = item_size(a.dtype), in = product(s.in) * item, out = product(s.out) * item,
                each = outs / channels;
  require_room(s);
  Windows planned = kind == kSpread ? turned(s) : s;
  require_room(planned);
  std::vector<int64_t> offset;
  plan(&planned, kind == kSpread, &offset);
  const int64_t taps = planned.taps, work = planned.run * taps,
                room = (planned.laid + planned.run) * item + kChannelSlack;
  if (kind == kCorrelate)
    for_tasks(n * outs, work, room, [&](int64_t k, char* scratch) {
      const int64_t o = k % outs;
      loops.correlate(planned, a.data + (k / outs * channels + o / each) * in, b.data + o * taps * item, scratch,
                      r.data + k * out, false);
    });
  else if (kind == kSpread)
    for_tasks(n * channels, work * each, room, [&](int64_t k, char* scratch) {
      for (int64_t o = k % channels * each, end = o + each; o < end; ++o)
        loops.correlate(planned, a.data + (k / channels * outs + o) * out, b.data + o * taps * item, scratch,
                        r.data + k * in, o != k % channels * each);
    });
  else {
    std::vector<char> mask(static_cast<size_t>(planned.run * item + kChannelSlack));
    for (int64_t i = 0; i < s.out[0] * s.out[1]; ++i)
      memset(mask.data() + (i / s.out[1] * planned.pitch[1] + i % s.out[1]) * planned.pitch[2] * item, 0xff,
             size_t(s.out[2] * item));
    for_tasks(outs, work * n, room, [&](int64_t o, char* scratch) {
      std::vector<double> total(static_cast<size_t>(taps));
      for (int64_t i = 0; i < n; ++i)
        loops.weigh(planned, a.data + (i * channels + o / each) * in, b.data + (i * outs + o) * out, mask.data(),
                    scratch, total.data());
      for (int64_t k = 0; k < taps; ++k)
        if (a.dtype == kFloat64)
          reinterpret_cast<double*>(r.data)[o * taps + k] = total[size_t(k)];
        else
          reinterpret_cast<float*>(r.data)[o * taps + k] = float(total[size_t(k)]);
    });
  }
  return fresh.release();
}

}  // namespace gf
