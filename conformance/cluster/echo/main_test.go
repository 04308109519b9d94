package main

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
)

func TestTheAnswerSaysWhatWasAsked(t *testing.T) {
	request := httptest.NewRequest("PUT", "http://shop.example.com/a?b=c", nil)
	request.Header.Set("X-Mark", "here")
	recorder := httptest.NewRecorder()
	handler("shop", "shop-0").ServeHTTP(recorder, request)
	var got answer
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Service != "shop" || got.Pod != "shop-0" || got.Method != "PUT" || got.Headers.Get("X-Mark") != "here" {
		t.Errorf("%+v", got)
	}
	if got.Host != "shop.example.com" || got.Path != "http://shop.example.com/a?b=c" {
		t.Errorf("%+v", got)
	}
}
