#include "control/interface_loan.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/route/link.h>

#include "control/ethtool.h"
#include "control/rtnl.h"
#include "control/rtnl_records.h"

namespace headgate::control {
namespace {

constexpr std::string_view file_prefix = "loan-";
constexpr const char* first_line = "headgate loan 1";

// What is needed to give an interface back.
struct Loan {
  std::string interface;
  std::string beneath;
  int index = 0;
  bool was_up = false;
  RtnlRecords records;
};

std::string to_text(const Loan& loan) {
  std::ostringstream text;
  text << first_line << "\ninterface " << loan.interface << "\nbeneath " << loan.beneath
       << "\nindex " << loan.index << "\nup " << loan.was_up << '\n';
  for (const RtnlRecord& address : loan.records.addresses)
    text << "address " << to_hex(address) << '\n';
  for (const RtnlRecord& route : loan.records.routes)
    text << "route " << to_hex(route) << '\n';
  return text.str();
}

bool parse_record(std::istringstream& words, std::vector<RtnlRecord>& records) {
  std::string hex;
  words >> hex;
  auto record = from_hex(hex);
  if (record) records.push_back(std::move(*record));
  return record.has_value();
}

bool parse_line(const std::string& line, Loan& loan) {
  std::istringstream words(line);
  std::string key;
  words >> key;
  if (key == "interface") return static_cast<bool>(words >> loan.interface);
  if (key == "beneath") return static_cast<bool>(words >> loan.beneath);
  if (key == "index") return static_cast<bool>(words >> loan.index);
  if (key == "up") return static_cast<bool>(words >> loan.was_up);
  if (key == "address") return parse_record(words, loan.records.addresses);
  if (key == "route") return parse_record(words, loan.records.routes);
  return false;
}

std::optional<Loan> parse_loan(std::istream& text) {
  std::string line;
  if (!std::getline(text, line) || line != first_line) return std::nullopt;
  Loan loan;
  while (std::getline(text, line)) {
    if (!parse_line(line, loan)) return std::nullopt;
  }
  if (loan.interface.empty() || loan.beneath.empty() || loan.index == 0) return std::nullopt;
  return loan;
}

// Recognisable, and short enough for the kernel.
std::string name_beneath(const std::string& interface, int index) {
  std::string name = "hg-" + interface;
  if (name.size() >= IF_NAMESIZE) name = "hg-if" + std::to_string(index);
  return name;
}

bool is_there(const std::string& name, int index) {
  return if_nametoindex(name.c_str()) == static_cast<unsigned>(index);
}

// An interface that is up can be renamed by newer kernels only.
int rename(RtnlSocket& socket, const std::string& from, int index, const std::string& to) {
  const KernelDevice device(from);
  if (!device.set_flags(0, IFF_UP)) return -NLE_FAILURE;
  rtnl_link* change = rtnl_link_alloc();
  rtnl_link_set_ifindex(change, index);
  rtnl_link_set_name(change, to.c_str());
  rtnl_link* original = rtnl_link_alloc();
  rtnl_link_set_ifindex(original, index);
  const int code = rtnl_link_change(socket.get(), original, change, 0);
  rtnl_link_put(original);
  rtnl_link_put(change);
  return code;
}

std::vector<std::string> give(RtnlSocket& socket, const RtnlRecords& records, int index) {
  std::vector<std::string> lines;
  for (const RtnlRecord& address : records.addresses) {
    if (const int code = add_address(socket, address, index); code != 0) {
      lines.push_back("address " + text_of_address(address) + ": " + nl_text(code));
    }
  }
  for (const RtnlRecord& route : records.routes) {
    if (const int code = add_route(socket, route, index); code != 0) {
      lines.push_back("route to " + text_of_route(route) + ": " + nl_text(code));
    }
  }
  return lines;
}

// Whatever of it is not as before yet. False: it could not get its name back. Nothing is to be done
// where the interface is gone.
bool give_back(RtnlSocket& socket, const Loan& loan) {
  if (is_there(loan.beneath, loan.index) &&
      rename(socket, loan.beneath, loan.index, loan.interface) != 0) {
    return false;
  }
  if (!is_there(loan.interface, loan.index)) return true;
  if (loan.was_up) KernelDevice(loan.interface).set_flags(IFF_UP, 0);
  static_cast<void>(give(socket, loan.records, loan.index));
  return true;
}

}  // namespace

struct InterfaceLoan::Impl {
  Impl(RtnlSocket given, Loan its, std::string file)
      : socket(std::move(given)), loan(std::move(its)), path(std::move(file)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    // What did not work the next start tries again.
    if (!give_back(socket, loan)) return;
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }

  RtnlSocket socket;
  Loan loan;
  std::string path;
  std::vector<std::string> notes;
};

std::expected<InterfaceLoan, Error> InterfaceLoan::borrow(const std::string& interface,
                                                          const std::string& state_dir) {
  Loan loan;
  loan.interface = interface;
  loan.index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (loan.index == 0) {
    return std::unexpected(Error{interface + ": there is no such interface: `ip link` lists them"});
  }
  auto socket = RtnlSocket::open();
  if (!socket) return std::unexpected(socket.error());
  loan.beneath = name_beneath(interface, loan.index);
  loan.was_up = (KernelDevice(interface).flags().value_or(0) & IFF_UP) != 0;
  auto records = records_of(*socket, loan.index);
  if (!records) return std::unexpected(Error{interface + ": " + records.error().text});
  loan.records = std::move(*records);
  const std::string path = state_dir + "/" + std::string(file_prefix) + interface;
  std::ofstream file(path, std::ios::trunc);
  file << to_text(loan);
  file.close();
  if (!file) {
    return std::unexpected(Error{path + ": cannot be written: " + std::strerror(errno) +
                                 ": daemon.run_dir must exist and be writable"});
  }
  // From here on its end gives back.
  auto impl = std::make_unique<Impl>(std::move(*socket), std::move(loan), path);
  const Loan& its = impl->loan;
  for (const RtnlRecord& address : its.records.addresses)
    remove_address(impl->socket, address);
  if (const int code = rename(impl->socket, interface, its.index, its.beneath); code != 0) {
    return std::unexpected(Error{interface + ": cannot be renamed to " + its.beneath + ": " +
                                 nl_text(code) + ": is that name taken?"});
  }
  if (its.records.left_out > 0) {
    impl->notes.push_back(interface + ": " + std::to_string(its.records.left_out) +
                          " routes over several interfaces did not move to the twin");
  }
  return InterfaceLoan(std::move(impl));
}

InterfaceLoan::InterfaceLoan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
InterfaceLoan::InterfaceLoan(InterfaceLoan&&) noexcept = default;
InterfaceLoan& InterfaceLoan::operator=(InterfaceLoan&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
InterfaceLoan::~InterfaceLoan() = default;

const std::string& InterfaceLoan::beneath() const {
  return impl_->loan.beneath;
}

std::vector<std::string> InterfaceLoan::hand_over(int twin_index) {
  std::vector<std::string> lines = give(impl_->socket, impl_->loan.records, twin_index);
  for (std::string& line : lines)
    line.insert(0, impl_->loan.interface + ": the twin did not get ");
  return lines;
}

const std::vector<std::string>& InterfaceLoan::notes() const {
  return impl_->notes;
}

std::vector<std::string> recover_loans(const std::string& state_dir) {
  std::vector<std::string> lines;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(state_dir, ignored)) {
    if (!entry.path().filename().string().starts_with(file_prefix)) continue;
    std::ifstream file(entry.path());
    if (const auto loan = parse_loan(file)) {
      auto socket = RtnlSocket::open();
      if (!socket || !give_back(*socket, *loan)) {
        lines.push_back(loan->interface + ": is " + loan->beneath +
                        " since an earlier daemon was killed, and cannot be renamed: is its name "
                        "taken?");
        continue;
      }
      lines.push_back(loan->interface +
                      ": got its name and addresses back, as an earlier daemon was killed");
    }
    std::filesystem::remove(entry.path(), ignored);
  }
  return lines;
}

}  // namespace headgate::control
