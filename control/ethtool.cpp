#include "control/ethtool.h"

#include <cstring>
#include <unistd.h>
#include <utility>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace headgate::control {
namespace {

constexpr uint32_t bits_per_block = 32;

// ethtool's requests end in arrays of a size that the kernel tells first.
template <typename Header, typename Element>
class Sized {
 public:
  explicit Sized(size_t count) : storage_((sizeof(Header) + count * sizeof(Element) + 7) / 8) {}
  Header* operator->() { return reinterpret_cast<Header*>(storage_.data()); }
  Header* get() { return reinterpret_cast<Header*>(storage_.data()); }
  Element* elements() {
    return reinterpret_cast<Element*>(reinterpret_cast<char*>(storage_.data()) + sizeof(Header));
  }

 private:
  std::vector<uint64_t> storage_;
};

}  // namespace

KernelDevice::KernelDevice(std::string interface)
    : interface_(std::move(interface)), socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

KernelDevice::~KernelDevice() {
  if (socket_ >= 0) close(socket_);
}

// `data` is the ifreq itself, or what ethtool wants in its place.
bool KernelDevice::request(unsigned long code, void* data) const {
  if (interface_.empty() || interface_.size() >= IFNAMSIZ) return false;
  ifreq own{};
  auto* argument = static_cast<ifreq*>(data);
  if (code == SIOCETHTOOL) {
    own.ifr_data = static_cast<char*>(data);
    argument = &own;
  }
  std::memcpy(argument->ifr_name, interface_.c_str(), interface_.size() + 1);
  return ioctl(socket_, code, argument) == 0;
}

std::optional<uint16_t> KernelDevice::flags() const {
  ifreq argument{};
  if (!request(SIOCGIFFLAGS, &argument)) return std::nullopt;
  return static_cast<uint16_t>(argument.ifr_flags);
}

bool KernelDevice::set_flags(uint16_t set, uint16_t clear) const {
  const auto now = flags();
  if (!now) return false;
  ifreq argument{};
  argument.ifr_flags = static_cast<short>((*now & ~clear) | set);
  return request(SIOCSIFFLAGS, &argument);
}

std::optional<uint16_t> KernelDevice::mtu() const {
  ifreq argument{};
  if (!request(SIOCGIFMTU, &argument)) return std::nullopt;
  return static_cast<uint16_t>(argument.ifr_mtu);
}

bool KernelDevice::set_mtu(uint16_t mtu) const {
  ifreq argument{};
  argument.ifr_mtu = mtu;
  return request(SIOCSIFMTU, &argument);
}

std::string KernelDevice::driver() const {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  return request(SIOCETHTOOL, &info) ? info.driver : "";
}

std::vector<KernelDevice::Feature> KernelDevice::features() const {
  Sized<ethtool_sset_info, uint32_t> size(1);
  size->cmd = ETHTOOL_GSSET_INFO;
  size->sset_mask = 1ULL << ETH_SS_FEATURES;
  if (!request(SIOCETHTOOL, size.get()) || size->sset_mask == 0) return {};
  const uint32_t count = *size.elements();

  Sized<ethtool_gstrings, char[ETH_GSTRING_LEN]> names(count);
  names->cmd = ETHTOOL_GSTRINGS;
  names->string_set = ETH_SS_FEATURES;
  names->len = count;
  const uint32_t blocks = (count + bits_per_block - 1) / bits_per_block;
  Sized<ethtool_gfeatures, ethtool_get_features_block> values(blocks);
  values->cmd = ETHTOOL_GFEATURES;
  values->size = blocks;
  if (!request(SIOCETHTOOL, names.get()) || !request(SIOCETHTOOL, values.get())) return {};

  std::vector<Feature> features;
  for (uint32_t i = 0; i < count; ++i) {
    const ethtool_get_features_block& block = values.elements()[i / bits_per_block];
    const uint32_t bit = 1U << (i % bits_per_block);
    const char* name = names.elements()[i];
    features.push_back({std::string(name, strnlen(name, ETH_GSTRING_LEN)),
                        (block.active & bit) != 0,
                        (block.available & bit) != 0 && (block.never_changed & bit) == 0});
  }
  return features;
}

bool KernelDevice::set_feature(const std::string& name, bool active) const {
  const std::vector<Feature> all = features();
  for (uint32_t i = 0; i < all.size(); ++i) {
    if (all[i].name != name) continue;
    const auto blocks = static_cast<uint32_t>((all.size() + bits_per_block - 1) / bits_per_block);
    Sized<ethtool_sfeatures, ethtool_set_features_block> values(blocks);
    values->cmd = ETHTOOL_SFEATURES;
    values->size = blocks;
    const uint32_t bit = 1U << (i % bits_per_block);
    values.elements()[i / bits_per_block] = {.valid = bit, .requested = active ? bit : 0};
    return request(SIOCETHTOOL, values.get());
  }
  return false;
}

std::optional<KernelDevice::Channels> KernelDevice::channels() const {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!request(SIOCETHTOOL, &channels)) return std::nullopt;
  return Channels{channels.rx_count, channels.combined_count};
}

bool KernelDevice::set_channels(const Channels& wanted) const {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!request(SIOCETHTOOL, &channels)) return false;
  channels.cmd = ETHTOOL_SCHANNELS;
  channels.rx_count = wanted.rx;
  channels.combined_count = wanted.combined;
  return request(SIOCETHTOOL, &channels);
}

}  // namespace headgate::control
