#include "control/vrrp/announce_job.h"

#include <algorithm>

namespace headgate::control {

AnnounceJob::AnnounceJob(const Announcement& announcement)
    : announcement_(announcement), rounds_(announcement.repeat) {}

std::vector<EthernetFrame> AnnounceJob::frames(size_t limit) const {
  std::vector<EthernetFrame> result;
  const size_t count = std::min(limit, waiting());
  result.reserve(count);
  const auto& addresses = announcement_.addresses;
  for (size_t i = 0; i < count; ++i) {
    const net::IpAddress& address = addresses[(next_ + i) % addresses.size()];
    result.push_back(address.is_v4()
                         ? gratuitous_arp_frame(announcement_.mac, address)
                         : unsolicited_na_frame(announcement_.mac, address, announcement_.router));
  }
  return result;
}

void AnnounceJob::advance(size_t frames) {
  next_ += frames;
  while (next_ >= announcement_.addresses.size() && rounds_ > 0) {
    next_ -= announcement_.addresses.size();
    --rounds_;
  }
}

void AnnounceJob::remove(const std::vector<net::IpAddress>& addresses) {
  auto& ours = announcement_.addresses;
  const auto is_removed = [&](const net::IpAddress& address) {
    return std::ranges::find(addresses, address) != addresses.end();
  };
  const auto running = ours.begin() + static_cast<ptrdiff_t>(next_);
  next_ -= static_cast<size_t>(std::count_if(ours.begin(), running, is_removed));
  std::erase_if(ours, is_removed);
  if (!ours.empty()) advance(0);
}

bool AnnounceJob::absorb(const Announcement& other) {
  const bool same = announcement_.mac == other.mac && announcement_.router == other.router &&
                    announcement_.interval_us == other.interval_us &&
                    announcement_.addresses == other.addresses;
  if (!same || is_done()) return false;
  const auto wanted = static_cast<uint16_t>(std::min(other.repeat + (next_ > 0 ? 1 : 0), 65535));
  rounds_ = std::max(rounds_, wanted);
  return true;
}

size_t AnnounceJob::waiting() const {
  return announcement_.addresses.size() * rounds_ - (rounds_ == 0 ? 0 : next_);
}

}  // namespace headgate::control
