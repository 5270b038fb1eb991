// Believes a sign that was in distribution in three answers in a row, while the answers are fresh and in order.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "activation_monitor/msg/ood_confidence_array.hpp"
#include "rclcpp/rclcpp.hpp"

using activation_monitor::msg::OodConfidence;
using activation_monitor::msg::OodConfidenceArray;
using rclcpp::Duration;

constexpr int IN_A_ROW = 3;  // one verdict alone may be a false one
constexpr std::chrono::seconds RESTART(1);  // stamps that are so much older are those of a bag that begins again

class Consumer : public rclcpp::Node
{
public:
  Consumer()
  : Node("consumer"), max_age_(Duration::from_seconds(declare_parameter("max_age_secs", 0.5))), newest_(now())
  {
    answers_ = create_subscription<OodConfidenceArray>(
      "/monitor/ood", 10, [this](const OodConfidenceArray & message) {on_answer(message);});
    timer_ = create_wall_timer(std::chrono::milliseconds(100), [this]() {on_timer();});
  }

private:
  using Sign = std::pair<std::string, std::string>;

  void on_answer(const OodConfidenceArray & message)
  {
    const rclcpp::Time stamp(message.header.stamp, get_clock()->get_clock_type());
    if (now() - stamp > max_age_) {
      return;  // too late to act on
    }
    if (stamp <= newest_ && newest_ - stamp < Duration(RESTART)) {
      return;  // overtaken by a newer one, or said twice
    }
    newest_ = stamp;
    std::map<Sign, int> times;  // what is not there any more begins afresh
    for (const OodConfidence & result : message.results) {
      count(result, times);
    }
    times_ = times;
  }

  void count(const OodConfidence & result, std::map<Sign, int> & times)
  {
    const Sign sign(result.region.id, result.predicted_class_name);
    // Nothing else, UNKNOWN included.
    const bool believable = result.verdict == OodConfidence::IN_DISTRIBUTION;
    times[sign] = believable ? times_[sign] + 1 : 0;
    if (times[sign] == IN_A_ROW) {
      RCLCPP_INFO(get_logger(), "believed: %s", result.predicted_class_name.c_str());
    }
  }

  void on_timer()
  {
    const bool silent = now() - newest_ > max_age_;
    if (silent && !silent_) {
      RCLCPP_WARN(get_logger(), "no fresh answer: nothing is believed");
      times_.clear();
    }
    silent_ = silent;
  }

  Duration max_age_;
  rclcpp::Time newest_;
  bool silent_ = false;
  std::map<Sign, int> times_;
  rclcpp::Subscription<OodConfidenceArray>::SharedPtr answers_;
  rclcpp::TimerBase::SharedPtr timer_;
};

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<Consumer>());
  rclcpp::shutdown();
}
