// The daemon's run directory, held by one daemon at a time.
#pragma once

#include <expected>
#include <string>

#include "control/error.h"

namespace headgate::control {

class RunDirectory {
 public:
  // Makes the directory where it is missing and takes the lock in it. An error when another daemon
  // has it.
  [[nodiscard]] static std::expected<RunDirectory, Error> take(const std::string& path);
  RunDirectory(RunDirectory&& other) noexcept;
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory();  // gives the lock back; removes the directory if it is empty then

 private:
  RunDirectory(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_;
};

}  // namespace headgate::control
