from django.urls import path

from .views import Admin, WhoAmI

urlpatterns = [path("api/whoami", WhoAmI.as_view()), path("api/admin", Admin.as_view())]
