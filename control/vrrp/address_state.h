// What AddressKeeper put into the kernel, as a small text file that outlives a kill:
//
//   headgate addresses 1
//   promote eth0 7
//   address eth0 7 192.0.2.80/24
//   ...
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "control/error.h"
#include "dataplane/net/address.h"

namespace headgate::control {

// An interface by name and the kernel's index: another one that has got the name is left alone.
struct NamedLink {
  std::string name;
  int index = 0;
  bool operator==(const NamedLink&) const = default;
};

struct AddressState {
  struct Address {
    NamedLink link;
    net::Prefix prefix;
    bool operator==(const Address&) const = default;
  };

  std::vector<NamedLink> promoted;  // promote_secondaries was off there
  std::vector<Address> addresses;

  [[nodiscard]] bool empty() const { return promoted.empty() && addresses.empty(); }
  bool operator==(const AddressState&) const = default;
};

[[nodiscard]] std::string to_text(const AddressState& state);
// Nothing when the text is not one that to_text() wrote.
[[nodiscard]] std::optional<AddressState> parse_address_state(const std::string& text);

// Replaces the file as a whole, or removes it when there is nothing to say.
[[nodiscard]] std::expected<void, Error> save(const AddressState& state, const std::string& path);
// Empty when there is no file.
[[nodiscard]] std::expected<AddressState, Error> load_address_state(const std::string& path);

}  // namespace headgate::control
