#include "backend/cuda/layer_stream.h"

#include <algorithm>

namespace tern::cuda {
namespace {

constexpr size_t kAlignment = 512;  // of a matrix, as cudaMalloc's

}  // namespace

Result<std::shared_ptr<LayerStream>> LayerStream::Create(std::shared_ptr<DeviceContext> context,
                                                         int64_t keep, int64_t layers) {
  std::shared_ptr<LayerStream> stream(new LayerStream(std::move(context)));
  const int64_t streamed = std::max<int64_t>(layers - std::max<int64_t>(keep, 0), 0);
  for (int64_t i = 0; i < layers; ++i)
    if ((i + 1) * streamed / layers > i * streamed / layers) stream->layers_.push_back({i});
  stream->context_->MakeCurrent();
  TERN_TRY(ToStatus(cudaStreamCreateWithFlags(&stream->stream_, cudaStreamNonBlocking),
                    "cudaStreamCreate"));
  stream->slots_.resize(static_cast<size_t>(std::min(streamed, kLayerBuffers)));
  for (Slot& slot : stream->slots_)
    for (cudaEvent_t* event : {&slot.free, &slot.arrived})
      TERN_TRY(
          ToStatus(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "cudaEventCreate"));
  return stream;
}

LayerStream::~LayerStream() {
  context_->MakeCurrent();
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  for (const Slot& slot : slots_)
    for (const cudaEvent_t event : {slot.free, slot.arrived})
      if (event != nullptr) (void)cudaEventDestroy(event);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

int64_t LayerStream::Position(int64_t layer) const {
  const auto at = std::lower_bound(layers_.begin(), layers_.end(), layer,
                                   [](const Layer& l, int64_t i) { return l.index < i; });
  return at != layers_.end() && at->index == layer ? at - layers_.begin() : kNone;
}

Result<size_t> LayerStream::Keep(int64_t layer, const Buffer& matrix) {
  Layer& to = layers_[static_cast<size_t>(Position(layer))];
  Piece piece{.host = {}, .offset = to.bytes, .bytes = matrix.bytes()};
  context_->MakeCurrent();
  TERN_TRY(piece.host.Reserve(std::max<size_t>(piece.bytes, 1)));
  TERN_TRY(ToStatus(cudaMemcpyAsync(piece.host.data(), matrix.as<void>(), piece.bytes,
                                    cudaMemcpyDeviceToHost, context_->stream()),
                    "a streamed matrix"));
  context_->CountToHost(piece.bytes);
  to.bytes += (piece.bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t offset = piece.offset;
  to.pieces.push_back(std::move(piece));
  // Now, and not when the first pass wants them: then it would be too late to say no.
  if (to.bytes > slot_bytes_) {
    for (Slot& slot : slots_) slot.memory = Buffer();
    for (Slot& slot : slots_) {
      TERN_ASSIGN_OR_RETURN(slot.memory, context_->Allocate(to.bytes));
      slot.position = kNone;
    }
    slot_bytes_ = to.bytes;
    base_ = slots_[0].memory.as<std::byte>();
  }
  return offset;
}

Status LayerStream::Fetch(Slot& slot, int64_t position) {
  const Layer& layer = layers_[static_cast<size_t>(position)];
  slot.position = position;
  // After everything that uses what was there, and after the packing of what comes.
  TERN_TRY(ToStatus(cudaEventRecord(slot.free, context_->stream()), "streaming a layer"));
  TERN_TRY(ToStatus(cudaStreamWaitEvent(stream_, slot.free, 0), "streaming a layer"));
  context_->CountToDevice(layer.bytes);
  for (const Piece& piece : layer.pieces)
    TERN_TRY(ToStatus(cudaMemcpyAsync(slot.memory.as<std::byte>() + piece.offset, piece.host.data(),
                                      piece.bytes, cudaMemcpyHostToDevice, stream_),
                      "streaming a layer"));
  return ToStatus(cudaEventRecord(slot.arrived, stream_), "streaming a layer");
}

// The slot of the layer that was entered gets the next that is in none.
Status LayerStream::Leave() {
  if (active_ == nullptr) return {};
  Slot& slot = *std::exchange(active_, nullptr);
  const int64_t next = (slot.position + std::ssize(slots_)) % std::ssize(layers_);
  return next == slot.position ? Status() : Fetch(slot, next);
}

Status LayerStream::Arrive(int64_t position) {
  auto at = std::find_if(slots_.begin(), slots_.end(),
                         [&](const Slot& slot) { return slot.position == position; });
  if (at == slots_.end()) {  // the first pass, or one after a pass that was broken off
    for (size_t i = 0; i < slots_.size(); ++i)
      TERN_TRY(Fetch(slots_[i], (position + static_cast<int64_t>(i)) % std::ssize(layers_)));
    at = slots_.begin();
  }
  active_ = &*at;
  base_ = at->memory.as<std::byte>();
  waited_ = true;
  return ToStatus(cudaStreamWaitEvent(context_->stream(), at->arrived, 0), "a streamed layer");
}

Status LayerStream::Enter(int64_t layer) {
  context_->MakeCurrent();
  Status status = Leave();
  const int64_t position = Position(layer);
  // While the model is loaded there is nothing to fetch yet.
  const bool has_bytes = position != kNone && layers_[static_cast<size_t>(position)].bytes > 0;
  if (status && has_bytes) status = Arrive(position);
  if (!status)  // the pass is lost, what is in the slots isn't known
    for (Slot& slot : slots_) slot.position = kNone;
  return status;
}

}  // namespace tern::cuda
