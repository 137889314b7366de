package httpapi_test

import (
	"bytes"
	"strings"
	"unicode/utf16"
)

// canary is in every secret that these tests choose. Nothing may repeat it.
const canary = "CANARY"

// naughtyStrings is text that some program somewhere takes for something else.
func naughtyStrings() []string {
	return []string{
		"", " ", "  ", "\t", "\n", "\r\n", "a b", " ada", "ada ", "\x01", "\x1b[31m", "\x7f", "\u0085", "\u009f", "\u00a0", "\u00ad", "\u2028", "\u2029",
		"\ufeffada", "ad\u200ba", "ad\u200da", "ad\u2060a", "\u202eada", "\u2066ada\u2069", "\U000e0061da", // none of these shows
		"caf\u00e9", "cafe\u0301", "ａｄａ", "\u0430d\u0430", "\u212aelvin", "\u0130stanbul", "\u0131", "stra\u00dfe", "\ufb01sh", "\u01c5", "\u03c2", // twins of something
		"\ufffd", "\uffff", "\ufdd0", "\U0010ffff", "\ue000", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "e" + strings.Repeat("\u0301", 60), "\u0644\u0629 \u0639\u0631",
		"' OR '1'='1", "'; DROP TABLE users; --", "1 UNION SELECT 1", "\" OR \"\"=\"", "\\", "\\'", "%", "_", "*", "?", "$1", "?1", ":id", "E'\\x00'", // to a database
		"<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x.example/a}", "%s%n%d", "#{1}", "../../etc/passwd", "..", ".", "a/b", "a\\b", "%00", "%2e%2e%2f", "%zz", "+", "a&b=c", "a;b", "a#b", "a,b",
		"a\r\nSet-Cookie: x=y", "null", "undefined", "true", "NaN", "Infinity", "0", "-1", "-0", "01", "1e999", "0x10", "9223372036854775808", "1.5", "１２", "\u0663", // to a parser
		"[]", "{}", `{"$ne":null}`, "ada@example.com@example.org", `"a b"@example.com`, "ada(x)@example.com", "ada@[127.0.0.1]", "ada@ex\u00e4mple.com", "ada@xn--exmple-cua.com", "@", "a@", "@b", "ada@localhost", "ada..b@example.com",
		"eyJhbGciOiJub25lIn0.e30.", "a.b.c", "..", "e30.e30.e30", "jg_" + strings.Repeat("0", 46), "jgs_" + strings.Repeat("a", 46), "1-1", "-1-1", "0198c2f4-7b1c-7d30-9a55-0f3f1c1e8a01", "client-0198C2F4-7B1C-7D30-9A55-0F3F1C1E8A01",
		"admin", "ADMIN", "root", "current", "bearer", "Cookie", "urn:x#", "javascript:alert(1)", "//example.com", "http://[::1",
		canary + " correct horse", strings.Repeat("a", 65), strings.Repeat("a", 255), strings.Repeat("\u00e9", 129), strings.Repeat("\U0001f600", 257), strings.Repeat("a", 4096), strings.Repeat("\u0344", 2000), strings.Repeat("a:", 7000),
	}
}

// wrongTypes is JSON values by the type that they are of.
func wrongTypes() map[string][]string {
	return map[string][]string{
		"integer": {"0", "-1", "9007199254740993"},
		"number":  {"1.5", "1e400", "-1e-400", "9223372036854775808", "1" + strings.Repeat("0", 400)},
		"boolean": {"true", "false"},
		"array":   {"[]", "[1]", `["a",null]`, "[[[[[]]]]]"},
		"object":  {"{}", `{"a":"b"}`, `{"$gt":""}`},
		"string":  {`""`, `"a"`, `"1"`},
	}
}

// brokenJSON is bodies that are no JSON object of the members that a route takes,
// whichever route it is. %s stands for a good body's members.
func brokenJSON() map[string]string {
	utf16le := &bytes.Buffer{}
	for _, u := range utf16.Encode([]rune(`{"name":"a"}`)) {
		utf16le.Write([]byte{byte(u), byte(u >> 8)})
	}
	return map[string]string{
		"space alone": " ", "null": "null", "array": "[]", "array of it": "[{%s}]", "string": `"a"`, "number": "1", "true": "true", "NaN": "NaN",
		"cut": "{%s", "cut in a name": `{"na`, "cut in an escape": `{%s,"a":"\u00`, "trailing": "{%s}x", "two objects": "{%s}{}", "trailing comma": "{%s,}", "leading comma": "{,%s}",
		"comment": "{%s/**/}", "single quotes": "{'a':'b'}", "no quotes": "{a:1}", "unknown member": `{%s,"admin":true}`, "unknown empty name": `{%s,"":1}`, "prototype": `{%s,"__proto__":{"a":1}}`,
		"byte order mark": "\ufeff{%s}", "UTF-16": utf16le.String(), "invalid UTF-8": "{%s,\"a\":\"\xff\"}", "invalid name": "{%s,\"\xc0\xaf\":1}", "overlong": "{%s,\"a\":\"\xe0\x80\xaf\"}",
		"surrogate in UTF-8": "{%s,\"a\":\"\xed\xa0\x80\"}", "NUL": "{%s}\x00", "NUL within": "{\x00%s}", "NUL escaped": `{%s,"a":"\u0000"}`, "lone surrogate": `{%s,"a":"\ud800"}`, "surrogates turned": `{%s,"a":"\udc00\ud800"}`,
		"control": "{%s,\"a\":\"\x01\"}", "deep": `{"a":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + "}", "deeper": strings.Repeat(`{"a":`, 2500) + "1" + strings.Repeat("}", 2500),
		"deep and open": strings.Repeat("[", 16000), "many members": "{" + strings.Repeat(`"a":1,`, 2600) + `"a":1}`, "long name": `{"` + strings.Repeat("a", 16000) + `":1}`,
		"long number": `{"a":` + strings.Repeat("9", 16000) + "}", "many escapes": `{"a":"` + strings.Repeat(`\u00e9`, 2600) + `"}`,
		"vertical tab": "\v{%s}", "no-break space": "\u00a0{%s}", "form": "a=b", "XML": "<a/>",
	}
}

// otherTypes is what a JSON body is not said to be.
func otherTypes() []string {
	return []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "application/jsonx",
		"application/json, text/plain", "text/json", "application/problem+json", "application/json; charset", "application/json; charset=utf-8; charset=utf-16", "\xff", "*/*", "application /json",
	}
}
