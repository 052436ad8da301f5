// SPDX-License-Identifier: Apache-2.0
// The JSON reader: text of strangers in, Values or a Status out.
#include <charconv>
#include <cmath>
#include <set>

#include "graph/errors.hpp"
#include "graph/json.hpp"

namespace pvnet::json {

namespace {

// Limits on hostile text. A Value is about 130 bytes, so a document stays below 300 MB.
constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr size_t kMaxValues = 2'000'000;
constexpr int kMaxDepth = 64;

// Recursive descent; the first failure is kept in `error_` and ends everything.
class Parser {
 public:
  Parser(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  Result<Value> run() {
    if (text_.size() > kMaxBytes) {
      return failed(Code::file, where_, "the JSON text is too long",
                    std::to_string(text_.size()) + " bytes", "at most " + std::to_string(kMaxBytes),
                    "Split the document.");
    }
    Value v;
    if (!value(v, 0)) return error_;
    pass_space();
    if (at_ != text_.size()) {
      fail("the end of the text");
      return error_;
    }
    return v;
  }

 private:
  // Always false, so that callers can `return fail(...)`.
  bool fail(std::string_view expected) {
    std::string got = at_ >= text_.size() ? "the end of the text" : "byte ";
    if (at_ < text_.size()) {
      const auto u = static_cast<unsigned char>(text_[at_]);
      if (u > 0x20 && u < 0x7f) {
        got += std::string("'") + text_[at_] + "'";
      } else {
        got += std::to_string(u);
      }
    }
    error_ = failed(Code::file, where_, "the JSON text is damaged",
                    got + " at offset " + std::to_string(at_), expected,
                    "Write the document again or repair it at that place.");
    return false;
  }
  void pass_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w, std::string_view expected) {
    if (text_.substr(at_, w.size()) != w) return fail(expected);
    at_ += w.size();
    return true;
  }

  bool value(Value& out, int depth) {
    pass_space();
    if (depth > kMaxDepth) return fail("at most 64 levels of nesting");
    if (++values_ > kMaxValues) return fail("at most 2000000 values");
    if (at_ >= text_.size()) return fail("a value");
    switch (text_[at_]) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"': {
        std::string s;
        if (!string(s)) return false;
        out = Value::string(s);
        return true;
      }
      case 't':
        out = Value::boolean(true);
        return word("true", "true");
      case 'f':
        out = Value::boolean(false);
        return word("false", "false");
      case 'n':
        out = Value();
        return word("null", "null");
      default:
        return number(out);
    }
  }

  bool array(Value& out, int depth) {
    ++at_;
    out = Value::array();
    pass_space();
    if (take(']')) return true;
    for (;;) {
      Value item;
      if (!value(item, depth + 1)) return false;
      out.push(std::move(item));
      pass_space();
      if (take(']')) return true;
      if (!take(',')) return fail("',' or ']'");
    }
  }

  bool object(Value& out, int depth) {
    ++at_;
    out = Value::object();
    std::set<std::string, std::less<>> keys;
    pass_space();
    if (take('}')) return true;
    for (;;) {
      pass_space();
      if (at_ >= text_.size() || text_[at_] != '"') return fail("a key in double quotes");
      const size_t key_at = at_;
      std::string key;
      if (!string(key)) return false;
      if (!keys.insert(key).second) {
        at_ = key_at;
        return fail("every key once (it was given before)");
      }
      pass_space();
      if (!take(':')) return fail("':'");
      Value member;
      if (!value(member, depth + 1)) return false;
      out.set(key, std::move(member));
      pass_space();
      if (take('}')) return true;
      if (!take(',')) return fail("',' or '}'");
    }
  }

  bool digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > begin;
  }

  // The grammar is checked by hand: from_chars alone takes "inf", "01" and "1.".
  bool number(Value& out) {
    const size_t begin = at_;
    take('-');
    if (!take('0') && !digits()) return fail("a value");
    if (take('.') && !digits()) return fail("a digit");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return fail("a digit");
    }
    double d = 0;
    const auto r = std::from_chars(text_.data() + begin, text_.data() + at_, d);
    if (r.ec != std::errc() || !std::isfinite(d)) {
      at_ = begin;
      return fail("a number that a double can hold");
    }
    out = Value::number(d);
    return true;
  }

  bool hex4(uint32_t& out) {
    out = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ >= text_.size()) return fail("four hexadecimal digits");
      const char c = text_[at_];
      uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<uint32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<uint32_t>(c - 'A' + 10);
      } else {
        return fail("four hexadecimal digits");
      }
      out = out * 16 + digit;
    }
    return true;
  }

  static void append_utf8(std::string& s, uint32_t cp) {
    if (cp < 0x80) {
      s.push_back(static_cast<char>(cp));
      return;
    }
    const int more = cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
    static constexpr uint32_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
    s.push_back(static_cast<char>(kLead[more] | (cp >> (6 * more))));
    for (int i = more - 1; i >= 0; --i) {
      s.push_back(static_cast<char>(0x80 | ((cp >> (6 * i)) & 0x3f)));
    }
  }

  bool escape(std::string& s) {
    if (at_ >= text_.size()) return fail("an escaped character");
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kBytes = "\"\\/\b\f\n\r\t";
    const char c = text_[at_];
    if (const size_t i = kNames.find(c); i != std::string_view::npos) {
      s.push_back(kBytes[i]);
      ++at_;
      return true;
    }
    if (c != 'u') return fail("an escaped character");
    ++at_;
    uint32_t cp = 0;
    if (!hex4(cp)) return false;
    if (cp >= 0xd800 && cp < 0xdc00) {
      uint32_t low = 0;
      if (!take('\\') || !take('u')) return fail("the second half of a surrogate pair");
      if (!hex4(low)) return false;
      if (low < 0xdc00 || low > 0xdfff) return fail("the second half of a surrogate pair");
      cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
    } else if (cp >= 0xdc00 && cp < 0xe000) {
      return fail("the first half of a surrogate pair before the second");
    }
    append_utf8(s, cp);
    return true;
  }

  // One multi-byte UTF-8 sequence: no overlong forms, no surrogates, at most U+10FFFF.
  bool utf8(std::string& s) {
    const auto byte = [&](size_t i) {
      return i < text_.size() ? static_cast<unsigned char>(text_[i]) : 0u;
    };
    const unsigned lead = byte(at_);
    const int more = lead >= 0xc2 && lead < 0xe0   ? 1
                     : lead >= 0xe0 && lead < 0xf0 ? 2
                     : lead >= 0xf0 && lead < 0xf5 ? 3
                                                   : 0;
    if (more == 0) return fail("valid UTF-8");
    uint32_t cp = lead & (0x3fu >> more);
    for (int i = 1; i <= more; ++i) {
      const unsigned b = byte(at_ + static_cast<size_t>(i));
      if ((b & 0xc0u) != 0x80u) return fail("valid UTF-8");
      cp = (cp << 6) | (b & 0x3fu);
    }
    const bool overlong = (more == 2 && cp < 0x800) || (more == 3 && cp < 0x10000);
    if (overlong || (cp >= 0xd800 && cp < 0xe000) || cp > 0x10ffff) return fail("valid UTF-8");
    s.append(text_.substr(at_, static_cast<size_t>(more) + 1));
    at_ += static_cast<size_t>(more) + 1;
    return true;
  }

  bool string(std::string& s) {
    ++at_;
    while (at_ < text_.size()) {
      const auto u = static_cast<unsigned char>(text_[at_]);
      if (u == '"') {
        ++at_;
        return true;
      }
      if (u < 0x20) return fail("control characters written as \\u00XX");
      if (u == '\\') {
        ++at_;
        if (!escape(s)) return false;
      } else if (u < 0x80) {
        s.push_back(text_[at_++]);
      } else if (!utf8(s)) {
        return false;
      }
    }
    return fail("the closing '\"' of a string");
  }

  std::string_view text_;
  std::string_view where_;
  size_t at_ = 0;
  size_t values_ = 0;
  Status error_;
};

}  // namespace

Result<Value> parse(std::string_view text, std::string_view where) {
  return Parser(text, where).run();
}

}  // namespace pvnet::json
