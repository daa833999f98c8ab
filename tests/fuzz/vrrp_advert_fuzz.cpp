// Whatever comes as protocol 112: the decoder reads nothing that is not there (ASan), what it takes
// for an advert survives being sent again, receive() accepts nothing that decode() refused, and no
// machine that hears it does what its state forbids.
//
// Byte 0 of the input: bit 0 IPv6, bit 1 mend the checksum, bit 2 strict, bit 3 unicast, bit 4
// without a password, bit 5 an owner. Byte 1 is the TTL; the message follows.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <variant>
#include <vector>

#include "dataplane/net/checksum.h"
#include "vrrp/advert.h"
#include "vrrp/machine.h"
#include "vrrp/receive.h"

namespace {

using namespace headgate;
using namespace headgate::vrrp;

enum Flag : uint8_t { ipv6 = 1, mended = 2, strict = 4, unicast = 8, open = 16, owner = 32 };

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

net::IpAddress address(bool is_v6, uint8_t last) {
  if (!is_v6) return net::Ipv4Address::from_host(0x0a4d0000U | last);
  net::Ipv6Address result{{0xfe, 0x80}};
  result.bytes[15] = last;
  return result;
}

// Otherwise hardly an input would come past the checksum.
void mend(std::vector<uint8_t>& message, const Received& packet) {
  if (message.size() < 8) return;
  const bool is_v2 = message[0] >> 4 == 2;
  const size_t size = packet.source.is_v6() ? 16 : 4;
  const size_t length = 8 + size * message[3] + (is_v2 ? 8 : 0);
  const std::span<uint8_t> covered(message.data(), std::min(length, message.size()));
  covered[6] = covered[7] = 0;
  uint64_t sum = net::checksum_add(0, covered);
  if (!is_v2) {
    sum += net::pseudo_header_sum({packet.source.bytes.data(), size},
                                  {packet.destination.bytes.data(), size}, protocol_number,
                                  static_cast<uint32_t>(covered.size()));
  }
  const net::be16 checksum = net::checksum_finish(sum);
  std::memcpy(&covered[6], &checksum, 2);
}

ReceiveSettings settings_for(const Received& packet, unsigned flags) {
  ReceiveSettings settings{.vrid = 51, .addresses = {address((flags & ipv6) != 0, 100)}};
  settings.version =
      !packet.message.empty() && packet.message[0] >> 4 == 2 ? Version::v2 : Version::v3;
  settings.strict = (flags & strict) != 0;
  settings.priority = (flags & owner) != 0 ? owner_priority : uint8_t{100};
  if ((flags & unicast) != 0) {
    settings.peers = {packet.source};
    settings.min_ttl = 64;
  }
  if (settings.version == Version::v2 && (flags & open) == 0) {
    settings.auth_type = AuthType::simple_text;
    settings.auth_data = {'1', '2', '3', '4', '5', '6', '7', '8'};
  }
  return settings;
}

void check_way_back(const Advert& advert, const Received& packet) {
  for (const Checksum checksum : {Checksum::with_pseudo_header, Checksum::message_only}) {
    const auto message = encode(advert, packet.source, packet.destination, checksum);
    require(message.size() <= packet.message.size(), "an advert longer than what it was read from");
    Received again = packet;
    again.message = message;
    const auto decoded = decode(again);
    require(decoded && *decoded == advert, "an advert that does not survive the way");
  }
}

void check_machine(const Advert& advert, const Received& packet, uint8_t priority) {
  const Settings settings{
      .version = advert.version, .priority = priority, .source = address(packet.source.is_v6(), 2)};
  Time now = std::chrono::seconds(5);
  Machine machine = step(settings, initial_machine(settings), Started{}, now).machine;
  for (int i = 0; i < 6; ++i) {
    const State before = machine.state;
    const Event heard = AdvertCame{advert.priority, advert.interval_cs, packet.source};
    const bool is_heard = i % 2 == 0;
    const Step taken = step(settings, machine, is_heard ? heard : Event{TimerCame{}}, now);
    for (const Action& action : taken.actions) {
      require(before == State::master || taken.machine.state == State::master ||
                  !std::holds_alternative<SendAdvert>(action),
              "an advert from a router that is not master");
    }
    require(next_deadline(taken.machine).has_value(), "a router that waits for nothing");
    require(is_heard || *next_deadline(taken.machine) > now, "a timer that is due again at once");
    machine = taken.machine;
    now = *next_deadline(machine);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const unsigned flags = data[0];
  const bool is_v6 = (flags & ipv6) != 0;
  std::vector<uint8_t> message(data + 2, data + size);
  Received packet{.message = message,
                  .source = address(is_v6, 1),
                  .destination = address(is_v6, 18),
                  .ttl = data[1]};
  if ((flags & mended) != 0) mend(message, packet);
  const auto decoded = decode(packet);
  const ReceiveSettings settings = settings_for(packet, flags);
  const auto accepted = receive(settings, packet);
  if (decoded) {
    check_way_back(*decoded, packet);
  } else {
    require(name_of(decoded.error()) != "unknown", "a reason without a name");
    require(!accepted, "accepted what cannot be decoded");
    const bool earlier = accepted.error() == Discard::ttl || accepted.error() == Discard::version;
    require(earlier || accepted.error() == decoded.error(), "two reasons for one message");
  }
  if (!accepted) return 0;
  require(accepted->advert == *decoded, "received another advert than decoded");
  require(accepted->advert.vrid == settings.vrid, "the advert of another virtual router");
  require(packet.ttl == advert_ttl || (flags & unicast) != 0, "an advert from afar");
  check_machine(accepted->advert, packet, settings.priority);
  return 0;
}
