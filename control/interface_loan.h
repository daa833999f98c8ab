// A kernel interface whose name, addresses and routes are lent to a port's twin (`take_over`):
// what names the interface (a VRRP instance, `ifconfig eth0:0`, a routing daemon) finds the twin.
//
//   borrow()       the interface gives its addresses and routes away and is renamed to beneath()
//   hand_over()    the twin, which bears the name now, gets them
//   the end        the interface gets its name back, and what it had
//
// What it had is written to STATE_DIR/loan-NAME before anything changes; after a kill
// recover_loans() of the next start gives it back. Link-local addresses and routes that the kernel
// makes by itself are left to the kernel; routes over several interfaces stay where they are.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "control/error.h"

namespace headgate::control {

class InterfaceLoan {
 public:
  // In the network namespace of the calling thread. `state_dir` exists. An error: nothing changed.
  [[nodiscard]] static std::expected<InterfaceLoan, Error> borrow(const std::string& interface,
                                                                  const std::string& state_dir);
  InterfaceLoan(InterfaceLoan&&) noexcept;
  InterfaceLoan& operator=(InterfaceLoan&&) noexcept;
  ~InterfaceLoan();  // gives back; the twin and the port have to be gone

  // The interface's name for the time being.
  [[nodiscard]] const std::string& beneath() const;
  // To the twin, by its kernel index; it is up. Lines about what it could not get.
  [[nodiscard]] std::vector<std::string> hand_over(int twin_index);
  // What stays as it is, a line each.
  [[nodiscard]] const std::vector<std::string>& notes() const;

 private:
  struct Impl;
  explicit InterfaceLoan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What a daemon with this state directory left when it was killed; a line for each interface. Call
// after recover_devices(), which knows the devices by the names that they have.
[[nodiscard]] std::vector<std::string> recover_loans(const std::string& state_dir);

}  // namespace headgate::control
