// The few things that headgate asks of a kernel interface by ioctl: flags, MTU, features, channels.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headgate::control {

class KernelDevice {
 public:
  explicit KernelDevice(std::string interface);
  ~KernelDevice();
  KernelDevice(const KernelDevice&) = delete;
  KernelDevice& operator=(const KernelDevice&) = delete;

  [[nodiscard]] std::optional<uint16_t> flags() const;  // IFF_*
  bool set_flags(uint16_t set, uint16_t clear) const;
  [[nodiscard]] std::optional<uint16_t> mtu() const;
  bool set_mtu(uint16_t mtu) const;
  // "veth", "ixgbe", "virtio_net"; empty when the device does not say.
  [[nodiscard]] std::string driver() const;

  // Names as `ethtool --show-features` has them in the kernel: rx-gro, rx-lro, …
  struct Feature {
    std::string name;
    bool active = false;
    bool changeable = false;
  };
  [[nodiscard]] std::vector<Feature> features() const;
  bool set_feature(const std::string& name, bool active) const;

  // Queues that carry traffic: combined ones, and receive queues of devices that count them apart.
  struct Channels {
    uint32_t rx = 0;
    uint32_t combined = 0;
    bool operator==(const Channels&) const = default;
  };
  [[nodiscard]] std::optional<Channels> channels() const;
  bool set_channels(const Channels& channels) const;

 private:
  bool request(unsigned long code, void* data) const;
  std::string interface_;
  int socket_;
};

}  // namespace headgate::control
