#include "control/mailer.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <curl/curl.h>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "control/background_thread.h"
#include "control/log.h"
#include "control/mail_text.h"

namespace headgate::control {

namespace {

// What libcurl's callbacks see of a mail on its way.
struct Transfer {
  std::string text;
  size_t sent = 0;
  std::string refusal;  // the server's last line that refuses something
};

size_t give_text(char* to, size_t size, size_t count, void* user) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = std::min(size * count, transfer.text.size() - transfer.sent);
  transfer.text.copy(to, bytes, transfer.sent);
  transfer.sent += bytes;
  return bytes;
}

size_t see_answer(char* line, size_t size, size_t count, void* user) {
  const std::string_view text(line, size * count);
  if (text.starts_with('4') || text.starts_with('5')) {
    const size_t end = text.find_last_not_of("\r\n");
    static_cast<Transfer*>(user)->refusal = text.substr(0, end + 1);
  }
  return size * count;
}

// Non-zero ends the transfer. Taking its handle away would not: libcurl then still waits for the
// server's answer to the end of the mail.
int check_end(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return *static_cast<const std::atomic<bool>*>(user) ? 1 : 0;
}

class Recipients {
 public:
  explicit Recipients(const std::vector<std::string>& addresses) {
    for (const std::string& address : addresses) {
      list_ = curl_slist_append(list_, envelope_address(address).c_str());
    }
  }
  ~Recipients() { curl_slist_free_all(list_); }
  Recipients(const Recipients&) = delete;
  Recipients& operator=(const Recipients&) = delete;
  [[nodiscard]] curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

void set_options(CURL* easy, const config::Mail& settings, const Recipients& recipients,
                 Transfer& transfer) {
  const long patience_s = static_cast<long>(std::max<uint32_t>(settings.connect_timeout_s, 1));
  curl_easy_setopt(easy, CURLOPT_URL, smtp_url(settings.server, mail_host()).c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp");
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name that is looked up
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, patience_s);
  curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, patience_s);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, patience_s * 4);  // a server that takes a byte at a time
  curl_easy_setopt(easy, CURLOPT_MAIL_FROM, envelope_address(settings.from).c_str());
  curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients.get());
  curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);  // one bad address harms no other
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, &give_text);
  curl_easy_setopt(easy, CURLOPT_READDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &see_answer);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &see_answer);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &check_end);
}

void initialize_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

struct Mailer::Impl {
  explicit Impl(size_t most) : most_queued(most), multi(curl_multi_init()) {}
  ~Impl() { curl_multi_cleanup(multi); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void work_until_stopped();
  void deliver(const config::Mail& mail, const MailMessage& message);
  CURLcode perform(CURL* easy);

  size_t most_queued;
  CURLM* multi;  // the thread's, but for curl_multi_wakeup
  uint64_t number = 0;
  mutable std::mutex mutex;
  std::condition_variable changed;
  // Under the lock.
  std::deque<MailMessage> queue;
  std::optional<config::Mail> settings;
  bool busy = false;
  Counts counts;
  std::atomic<bool> stopping = false;
  std::thread thread;
};

void Mailer::Impl::work_until_stopped() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return stopping || !queue.empty(); });
    if (stopping) return;
    const MailMessage message = std::move(queue.front());
    queue.pop_front();
    const config::Mail mail = *settings;
    busy = true;
    lock.unlock();
    deliver(mail, message);
    lock.lock();
    busy = false;
  }
}

void Mailer::Impl::deliver(const config::Mail& mail, const MailMessage& message) {
  Transfer transfer;
  transfer.text = mail_text(mail, message, mail_host(), std::time(nullptr), ++number);
  const Recipients recipients(mail.to);
  CURL* const easy = curl_easy_init();
  if (easy == nullptr) return;  // out of memory
  set_options(easy, mail, recipients, transfer);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &stopping);
  const CURLcode code = perform(easy);
  curl_easy_cleanup(easy);
  if (code == CURLE_ABORTED_BY_CALLBACK) return;  // the end of the daemon
  const std::scoped_lock lock(mutex);
  if (code == CURLE_OK) {
    ++counts.sent;
    if (!transfer.refusal.empty()) {
      log_warning("mail: {} refused some of the addresses: {}", mail.server, transfer.refusal);
    }
    return;
  }
  ++counts.failed;
  log_warning("mail to {} by {} was not sent: {}{}{}", mail.to.empty() ? "nobody" : mail.to[0],
              mail.server, curl_easy_strerror(code), transfer.refusal.empty() ? "" : ": ",
              transfer.refusal);
}

// A multi handle for the one transfer: its poll can be woken, so that the end of the daemon need
// not wait until libcurl calls check_end by itself.
CURLcode Mailer::Impl::perform(CURL* easy) {
  if (multi == nullptr || curl_multi_add_handle(multi, easy) != CURLM_OK) {
    return CURLE_OUT_OF_MEMORY;
  }
  std::optional<CURLcode> result;
  while (!result) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) result = CURLE_SEND_ERROR;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) result = message->data.result;
    }
    constexpr int longest_ms = 1000;
    if (!result) curl_multi_poll(multi, nullptr, 0, longest_ms, nullptr);
  }
  curl_multi_remove_handle(multi, easy);
  return *result;
}

Mailer::Mailer(size_t queued) {
  initialize_curl();
  impl_ = std::make_unique<Impl>(std::max<size_t>(queued, 1));
}

Mailer::~Mailer() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stopping = true;
    const size_t left = impl_->queue.size() + (impl_->busy ? 1 : 0);
    if (left > 0) log_warning("{} mails were given up at the end", left);
  }
  impl_->changed.notify_one();
  if (impl_->multi != nullptr) curl_multi_wakeup(impl_->multi);
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Mailer::configure(const config::Mail& settings) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->settings = settings;
}

void Mailer::send(MailMessage message) {
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->settings) {
    ++impl_->counts.dropped;
    log_warning("mail: no server is configured");
    return;
  }
  if (impl_->queue.size() >= impl_->most_queued) {
    ++impl_->counts.dropped;
    log_warning("mail: more than {} wait for {}; the oldest is left out", impl_->most_queued,
                impl_->settings->server);
    impl_->queue.pop_front();
  }
  impl_->queue.push_back(std::move(message));
  if (!impl_->thread.joinable()) {
    impl_->thread =
        start_background("hg-mail", [impl = impl_.get()] { impl->work_until_stopped(); });
  }
  impl_->changed.notify_one();
}

bool Mailer::idle() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->queue.empty() && !impl_->busy;
}

Mailer::Counts Mailer::counts() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->counts;
}

void follow_settings(std::optional<Mailer>& mailer, const std::optional<config::Mail>& settings) {
  if (!settings) {
    mailer.reset();
    return;
  }
  if (!mailer) mailer.emplace();
  mailer->configure(*settings);
}

}  // namespace headgate::control
