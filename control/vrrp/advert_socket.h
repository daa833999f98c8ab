// VRRP messages in and out of one interface, of one address family: a raw socket of protocol 112
// bound to the interface, and for virtual MACs an AF_PACKET socket next to it.
//
// Everything happens on the loop that it was opened with. A link that goes down and up again needs
// nothing. An interface that is deleted takes the socket's use with it, also when another one of
// the same name comes: sending fails with an error that says so, and who runs it opens a new one
// (LinkWatch tells of the other index).
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "control/error.h"
#include "dataplane/net/address.h"
#include "vrrp/advert.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

struct AdvertSocketOptions {
  std::string interface;
  net::Family family = net::Family::ipv4;
  net::IpAddress group;  // joined; family none: only unicast is received
};

class AdvertSocket {
 public:
  // `packet.message` is valid during the call. The call may destroy the socket.
  using OnPacket = std::function<void(const vrrp::Received& packet)>;

  struct Counters {
    uint64_t received = 0;   // given to on_packet
    uint64_t malformed = 0;  // IP headers that do not add up, or no address: dropped
    uint64_t sent = 0;
    uint64_t send_errors = 0;
  };

  static constexpr size_t max_batch = 32;  // packets read before the loop gets its turn

  [[nodiscard]] static std::expected<std::unique_ptr<AdvertSocket>, Error> open(
      boost::asio::io_context& loop, const AdvertSocketOptions& options);
  ~AdvertSocket();  // no call comes after
  AdvertSocket(const AdvertSocket&) = delete;
  AdvertSocket& operator=(const AdvertSocket&) = delete;

  // Starts to receive. Packets that came before, since open(), are waiting.
  void on_packet(OnPacket callback);

  // Reads what is waiting, up to max_batch, and returns how many packets there were. Before a
  // master-down timer is let run out, so that a thread that was late takes no living master for
  // dead.
  size_t receive_waiting();

  // The kernel's MAC is the sender. `source` needs not be an address of the interface.
  [[nodiscard]] std::expected<void, Error> send(std::span<const uint8_t> message,
                                                const net::IpAddress& source,
                                                const net::IpAddress& destination, uint8_t ttl);
  // The virtual router's MAC is the sender; multicast only, TTL 255.
  [[nodiscard]] std::expected<void, Error> send_from_mac(std::span<const uint8_t> message,
                                                         const net::IpAddress& source,
                                                         const net::IpAddress& group,
                                                         const net::MacAddress& virtual_mac);

  [[nodiscard]] int interface_index() const;  // the kernel's, as it was when opened
  [[nodiscard]] const Counters& counters() const;

 private:
  struct Impl;
  explicit AdvertSocket(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
