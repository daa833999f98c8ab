#include "dataplane/fullnat_ports.h"

#include <algorithm>
#include <numeric>

namespace headgate::dataplane {

namespace {

// A stride with no divisor in common with the range visits every port of it.
uint32_t stride_for(uint32_t wanted, uint32_t size) noexcept {
  uint32_t stride = wanted % size;
  while (std::gcd(stride, size) != 1)
    ++stride;
  return stride;
}

}  // namespace

PortCandidates::PortCandidates(uint64_t flow_hash, PortRange range, const ReplyTuple& reply,
                               uint32_t most) noexcept
    : range_(range),
      rss_(reply.rss),
      family_(reply.backend.family),
      queue_(reply.queue),
      most_(most),
      start_(static_cast<uint32_t>(flow_hash) % range.size()),
      wanted_stride_(static_cast<uint32_t>(flow_hash >> 32)),
      place_(start_),
      own_phase_(reply.rss != nullptr) {
  if (rss_ != nullptr) {
    base_hash_ = rss_->hash(reply.backend, reply.local, reply.backend_port, net::be16{});
  }
}

std::optional<uint16_t> PortCandidates::next() noexcept {
  if (own_phase_) {
    if (const auto port = next_on_own_queue()) return port;
    own_phase_ = false;
    own_steps_ = steps_;
    steps_ = 0;
    place_ = start_;
  }
  while (given_ < most_ && steps_ < range_.size()) {
    const bool walked_before = steps_ < own_steps_;
    const uint16_t port = step();
    on_own_queue_ = rss_ != nullptr && lands_on_own_queue(port);
    if (walked_before && on_own_queue_) continue;
    ++given_;
    return port;
  }
  return std::nullopt;
}

std::optional<uint16_t> PortCandidates::next_on_own_queue() noexcept {
  const uint32_t max_steps = std::min(max_own_queue_steps, range_.size());
  const uint32_t most = std::min(max_own_queue_candidates, most_ / 2);
  while (given_ < most && steps_ < max_steps) {
    const uint16_t port = step();
    if (!lands_on_own_queue(port)) continue;
    on_own_queue_ = true;
    ++given_;
    return port;
  }
  return std::nullopt;
}

uint16_t PortCandidates::step() noexcept {
  if (steps_++ != 0) {
    if (stride_ == 0) stride_ = stride_for(wanted_stride_, range_.size());
    place_ += stride_;
    if (place_ >= range_.size()) place_ -= range_.size();
  }
  return static_cast<uint16_t>(range_.first + place_);
}

bool PortCandidates::lands_on_own_queue(uint16_t port) const noexcept {
  const uint32_t hash =
      base_hash_ ^ rss_->high_byte_of_destination_port(static_cast<uint8_t>(port >> 8), family_) ^
      rss_->low_byte_of_destination_port(static_cast<uint8_t>(port & 0xff), family_);
  return rss_->queue_of(hash) == queue_;
}

}  // namespace headgate::dataplane
