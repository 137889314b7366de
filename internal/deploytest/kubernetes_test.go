package deploytest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/apptest"
)

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

type container struct {
	Name, Image     string
	Args            []string
	StartupProbe    probe `yaml:"startupProbe"`
	ReadinessProbe  probe `yaml:"readinessProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	Lifecycle struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	Resources struct{ Requests, Limits map[string]string }
}

type deployment struct {
	Spec struct {
		Replicas *int
		Strategy struct {
			RollingUpdate struct {
				MaxUnavailable int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				EnableServiceLinks           *bool `yaml:"enableServiceLinks"`
				AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
				Grace                        int   `yaml:"terminationGracePeriodSeconds"`
				SecurityContext              struct {
					RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
					RunAsUser      int                   `yaml:"runAsUser"`
					FSGroup        int                   `yaml:"fsGroup"`
					SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
				} `yaml:"securityContext"`
				Containers []container
			}
		}
	}
}

func TestDeployment(t *testing.T) {
	d := document[deployment](t, "configs/kubernetes/deployment.yaml", false).Spec
	pod := d.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("Kubernetes sets variables that jotgate refuses")
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a token that it has no use for")
	}
	s := pod.SecurityContext
	if !s.RunAsNonRoot || s.RunAsUser != 65532 || s.FSGroup != 65532 || s.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("the pod's securityContext is %+v", s)
	}
	if x := c.SecurityContext; x.AllowPrivilegeEscalation == nil || *x.AllowPrivilegeEscalation || !x.ReadOnlyRootFilesystem || strings.Join(x.Capabilities.Drop, "") != "ALL" {
		t.Errorf("the container's securityContext is %+v", x)
	}
	if stop := time.Duration(pod.Grace-c.Lifecycle.PreStop.Sleep.Seconds) * time.Second; stop <= app.StopsWithin {
		t.Errorf("%s after preStop are too short for requests under way", stop)
	}
	if d.Replicas != nil || d.Strategy.RollingUpdate.MaxUnavailable != 0 {
		t.Errorf("replicas = %v, strategy %+v", d.Replicas, d.Strategy)
	}
	for _, resources := range []map[string]string{c.Resources.Requests, c.Resources.Limits} {
		if resources["cpu"] == "" || resources["memory"] == "" {
			t.Errorf("resources = %+v", c.Resources)
		}
	}
	if diff := cmp.Diff([]string{"serve"}, c.Args); diff != "" {
		t.Error(diff)
	}
}

// The probes ask what the program answers.
func TestProbes(t *testing.T) {
	c := document[deployment](t, "configs/kubernetes/deployment.yaml", false).Spec.Template.Spec.Containers[0]
	s := apptest.Start(t)
	for name, tt := range map[string]struct {
		probe probe
		path  string
	}{
		"startup": {c.StartupProbe, "/healthz"}, "readiness": {c.ReadinessProbe, "/readyz"}, "liveness": {c.LivenessProbe, "/healthz"},
	} {
		if tt.probe.HTTPGet.Path != tt.path || tt.probe.HTTPGet.Port != "http" {
			t.Errorf("%s asks %+v", name, tt.probe)
		}
		if got := s.Call(t, "GET", tt.probe.HTTPGet.Path, "", nil, nil); got != 200 {
			t.Errorf("%s: %s = %d", name, tt.probe.HTTPGet.Path, got)
		}
	}
}

func TestKustomization(t *testing.T) {
	k := document[struct {
		Images []struct {
			Name    string
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		}
		Resources []string
	}](t, "configs/kubernetes/kustomization.yaml", false)
	if len(k.Images) != 1 || k.Images[0].Name != "jotgate" || !version.MatchString(k.Images[0].NewName+":"+k.Images[0].NewTag) {
		t.Errorf("images = %+v", k.Images)
	}
	for _, file := range k.Resources {
		documents[map[string]any](t, "configs/kubernetes/"+file, false)
		if strings.Contains(file, "example") {
			t.Errorf("%s would put an empty secret over the real one", file)
		}
	}
}

// The operations listener is not for the public, and Prometheus reaches it.
func TestOperationsAreApart(t *testing.T) {
	svc := document[struct {
		Spec struct {
			Ports []struct {
				TargetPort string `yaml:"targetPort"`
			}
		}
	}](t, "configs/kubernetes/service.yaml", false)
	if len(svc.Spec.Ports) != 1 || svc.Spec.Ports[0].TargetPort != "http" {
		t.Errorf("the Service has %+v", svc.Spec.Ports)
	}
	policy := document[struct {
		Spec struct {
			PodSelector struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
			} `yaml:"podSelector"`
			Ingress []struct {
				From  []any
				Ports []struct{ Port string }
			}
		}
	}](t, "configs/kubernetes/networkpolicy.yaml", false)
	pods := document[deployment](t, "configs/kubernetes/deployment.yaml", false).Spec.Template.Metadata.Labels
	if diff := cmp.Diff(pods, policy.Spec.PodSelector.MatchLabels); diff != "" {
		t.Error(diff)
	}
	open := map[string]int{}
	for _, rule := range policy.Spec.Ingress {
		for _, p := range rule.Ports {
			open[p.Port] += len(rule.From)
		}
	}
	if open["http"] != 1 || open["ops"] != 1 || len(open) != 2 {
		t.Errorf("open = %v", open)
	}
}

func TestSecretExampleIsEmpty(t *testing.T) {
	s := document[struct {
		StringData map[string]string `yaml:"stringData"`
	}](t, "configs/kubernetes/secret.example.yaml", false)
	for _, key := range []string{"master-key", "database-url"} {
		if value, ok := s.StringData[key]; !ok || value != "" {
			t.Errorf("%s = %q, want it there and empty", key, value)
		}
		if !strings.Contains(read(t, "configs/kubernetes/kustomization.yaml"), "=/etc/jotgate/"+key) {
			t.Errorf("no setting reads /etc/jotgate/%s", key)
		}
	}
}
